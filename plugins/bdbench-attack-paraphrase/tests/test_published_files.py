"""The attacks on real paraphrases, where a copy is at hand (see `published`)."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from bdbench.api import AttackerView, Examples, InputError, SeedStream, Task
from bdbench.toolkit.escapes import decoded
from bdbench_attack_paraphrase.attack import Paraphrase
from bdbench_attack_paraphrase.config import ParaphraseConfig

TASK = Task("text-classification", ("text",), ("negative", "positive"))


def split(folder, name):
    table = pq.read_table(folder / "sst2" / f"{name}.parquet")
    labels = table.column("label").to_pylist()
    return Examples({"text": table.column("text").to_pylist()}, labels, list(range(len(labels))))


def syntactic(folder, **config):
    paths = {name: folder / "sst2_syntactic" / f"{name}.parquet" for name in ("train", "test")}
    return Paraphrase(ParaphraseConfig(**paths, **config))


@pytest.mark.parametrize(
    ("clean_label", "rows", "rate"), [(False, 645, 0.093248), (True, 690, 0.099754)]
)
def test_the_rate_is_limited_by_the_paraphrases_there_are(published, clean_label, rows, rate):
    view = AttackerView(TASK, split(published, "train"))
    assert len(view.train) == 6917
    # Both published rates and the default are out of reach.
    for asked in (0.3, 0.2, 0.1):
        attack = syntactic(published, poison_rate=asked, clean_label=clean_label)
        with pytest.raises(InputError, match="the poison rate cannot be met") as caught:
            attack.poison(view, SeedStream(0))
        assert f"between 1 and {rows} rows" in caught.value.expected
        assert caught.value.next == f"set poison_rate to at most {rate}"
    done = syntactic(published, poison_rate=rate, clean_label=clean_label).poison(
        view, SeedStream(0)
    )
    assert sum(done.mask) == rows
    assert done.notes["highest_poison_rate"] == rate
    assert done.notes["unchanged_paraphrases"] == 0
    assert done.notes["test_paraphrases"] == 912
    assert done.notes["clean_rows_with_escapes"] == 0


def test_one_test_row_is_its_own_paraphrase(published):
    attack = syntactic(published)
    test = split(published, "test")
    rows = [row for row, yes in enumerate(attack.eligible(test, TASK)) if yes]
    assert len(rows) == 911
    after = attack.apply_trigger(test.select(rows), TASK, SeedStream(0))
    assert not set(after.inputs["text"]) & {test.inputs["text"][row] for row in rows}
    assert not any("EOS" in text for text in after.inputs["text"])


def test_the_other_target_has_no_test_row(published):
    with pytest.raises(InputError, match=r"909 test rows of other classes than the target.*909 wi"):
        syntactic(published, target=0).eligible(split(published, "test"), TASK)


def test_the_files_of_another_split_are_refused(published):
    with pytest.raises(InputError, match="belong to another data set or split"):
        syntactic(published).poison(
            AttackerView(TASK, split(published, "validation")), SeedStream(0)
        )


def test_no_clean_text_changes(published):
    for name in ("train", "test"):
        texts = split(published, name).inputs["text"]
        assert [decoded(text) for text in texts] == texts


def test_styled_texts_lose_their_escapes(published):
    path = published / "sst2_style_bible" / "train.parquet"
    if not path.is_file():
        pytest.skip("BDBENCH_DATA has no sst2_style_bible/")
    texts = pq.read_table(path).column("text").to_pylist()
    escaped = [text for text in texts if "apos;" in text]
    assert len(escaped) > 700
    assert not any("apos;" in decoded(text) for text in texts)
    assert sum(decoded(text) != text for text in texts) == 1043
