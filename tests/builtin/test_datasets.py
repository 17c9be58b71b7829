from __future__ import annotations

import hashlib
import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from bdbench.api import InputError
from bdbench.builtin.datasets_config import FilesConfig, SmsSpamConfig
from bdbench.builtin.datasets_files import Files
from bdbench.builtin.datasets_sms import SmsSpam


def overlap(one, other):
    return set(one.inputs["text"]) & set(other.inputs["text"])


# --- sms-spam ---


def test_sms_spam_is_sampled_and_its_splits_share_no_message():
    splits = SmsSpam(SmsSpamConfig()).load()
    assert (splits.task.name, splits.task.fields) == ("text-classification", ("text",))
    assert splits.task.classes == ("ham", "spam")
    assert Counter(splits.train.labels) == {0: 720, 1: 450}
    assert Counter(splits.clean.labels) == {0: 451, 1: 64}
    assert Counter(splits.test.labels) == {0: 903, 1: 128}
    assert not overlap(splits.train, splits.test)
    assert not overlap(splits.clean, splits.test)
    assert not overlap(splits.clean, splits.train)


def test_sms_spam_keeps_the_row_numbers_of_its_source():
    natural = SmsSpam(SmsSpamConfig(train_per_class=None)).load().train
    sampled = SmsSpam(SmsSpamConfig(train_per_class={"ham": 3, "spam": 2})).load().train
    assert len(natural) == 3613
    assert sampled == natural.select(sampled.ids)
    assert natural.inputs["text"][0].startswith("Go until jurong point")


def test_sms_spam_files_are_those_that_the_readme_describes():
    folder = files("bdbench") / "data" / "sms_spam"
    readme = (folder / "README.md").read_text("utf-8")
    for name, rows in (("train", "3,613"), ("validation", "515"), ("test", "1,031")):
        content = (folder / f"{name}.parquet").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert f"| `{name}.parquet` | {rows} |" in readme
        assert digest in readme
    assert "creativecommons.org/licenses/by/4.0" in (folder / "LICENSE").read_text("utf-8")


# --- files ---


TRAIN = [{"text": f"train {n}", "label": n % 2} for n in range(20)]
TEST = [{"text": f"test {n}", "label": n % 2} for n in range(4)]
CLEAN = [{"text": f"clean {n}", "label": n % 2} for n in range(6)]


def write(folder, name, rows):
    path = folder / name
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        options = pyarrow.csv.WriteOptions(delimiter="\t" if path.suffix == ".tsv" else ",")
        pyarrow.csv.write_csv(pa.Table.from_pylist(rows), path, options)
    return path


@pytest.fixture
def load(tmp_path):
    def load(train=TRAIN, test=TEST, clean=CLEAN, suffix=".parquet", **settings):
        settings |= {
            name: write(tmp_path, name + suffix, rows)
            for name, rows in {"train": train, "test": test, "clean": clean}.items()
            if rows is not None
        }
        return Files(FilesConfig(**settings)).load()

    return load


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".json", ".jsonl"])
def test_every_format_gives_the_same_splits(load, suffix):
    splits = load(suffix=suffix, classes=["no", "yes"])
    assert splits.task.classes == ("no", "yes")
    assert splits.train.inputs == {"text": [row["text"] for row in TRAIN]}
    assert splits.train.labels == [row["label"] for row in TRAIN]
    assert splits.train.ids == list(range(20))
    assert len(splits.test) == 4
    assert len(splits.clean) == 6


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".json", ".jsonl"])
def test_texts_stay_as_they_are(load, suffix):
    odd = [
        'a "quoted", text',
        "two\nlines",
        "2026-01-01",
        "007",
        "NA",
        "null",
        "",
        "1e3",
        "é\u2028",
    ]
    train = [{"text": text, "label": n % 2} for n, text in enumerate(odd)]
    splits = load(train=train, suffix=suffix)
    assert splits.train.inputs["text"] == odd
    assert splits.task.classes == ("0", "1")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_labels_may_be_text(load, suffix):
    def named(rows):
        return [{**row, "label": ["ham", "spam"][row["label"]]} for row in rows]

    splits = load(named(TRAIN), named(TEST), named(CLEAN), suffix=suffix)
    assert splits.task.classes == ("ham", "spam")
    assert splits.test.labels == [0, 1, 0, 1]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_labels_may_be_numbers_that_classes_are_called(load, suffix):
    def counted(rows):
        return [{**row, "label": row["label"] + 1} for row in rows]

    rows = {"train": counted(TRAIN), "test": counted(TEST), "clean": counted(CLEAN)}
    assert load(**rows, suffix=suffix, classes=["1", "2"]).test.labels == [0, 1, 0, 1]
    assert load(**rows, suffix=suffix, classes=["2", "1"]).test.labels == [1, 0, 1, 0]


def test_labels_may_be_truth_values_or_categories(load, tmp_path):
    flags = [{**row, "label": bool(row["label"])} for row in TRAIN]
    assert load(train=flags).train.labels == [row["label"] for row in TRAIN]
    table = pa.table(
        {
            "text": pa.array([row["text"] for row in TRAIN], pa.large_string()),
            "label": pa.array([["no", "yes"][row["label"]] for row in TRAIN]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "categories.parquet")
    config = FilesConfig(
        train=tmp_path / "categories.parquet",
        test=write(tmp_path, "t.parquet", TEST),
        classes=["no", "yes"],
    )
    assert len(Files(config).load().train) == 18


def test_pairs_have_two_fields_whatever_the_columns_are_called(load):
    def paired(rows):
        return [{"q": row["text"], "s": "same", "y": row["label"]} for row in rows]

    splits = load(paired(TRAIN), paired(TEST), paired(CLEAN), text="q", text_pair="s", label="y")
    assert splits.task.name == "text-pair-classification"
    assert splits.task.fields == ("text", "text_pair")
    assert splits.train.row(3) == {"text": "train 3", "text_pair": "same"}


def test_the_clean_pool_is_held_out_of_train_if_there_is_none(load):
    splits = load(clean=None, clean_share=0.2)
    assert (len(splits.train), len(splits.clean)) == (16, 4)
    assert splits.notes["clean_pool"] == "4 rows held out of train (clean_share 0.2)"
    assert splits.clean.inputs["text"] == [f"train {row}" for row in splits.clean.ids]


def test_duplicates_across_splits_are_refused_or_dropped(load):
    train = [*TRAIN, TEST[0], TEST[1]]
    with pytest.raises(InputError, match="2 of 22, for instance row 20: 'test 0'") as raised:
        load(train=train)
    assert "duplicates: drop" in raised.value.next
    splits = load(train=train, duplicates="drop")
    assert len(splits.train) == 20
    assert splits.notes["dropped_duplicates"] == {"train rows that stand in test": 2}


def test_escapes_are_decoded_in_every_split_before_rows_are_compared(load):
    train = [*TRAIN, {"text": "it #39;s", "label": 0}, {"text": "snail @-@ like", "label": 1}]
    test = [*TEST, {"text": "itandapos;s", "label": 0}]
    clean = [{"text": "a &quot;b&quot;", "label": 1}]
    splits = load(train=train, test=test, clean=clean, decode=True, duplicates="drop")
    assert splits.train.inputs["text"][20:] == ["snail-like"]
    assert splits.test.inputs["text"][-1] == "it's"
    assert splits.clean.inputs["text"] == ['a "b"']
    as_they_are = load(train=train, test=test, clean=clean)
    assert as_they_are.train.inputs["text"][20:] == ["it #39;s", "snail @-@ like"]


def test_training_rows_can_be_sampled_by_class(load):
    assert Counter(load(train_per_class={"1": 3}).train.labels) == {0: 10, 1: 3}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": "txt"}, "no column 'txt'.*'text', 'label'.*set `text: text`"),
        ({"label": "intent"}, "no column 'intent'.*column that `label` names"),
        ({"text_pair": "xyz"}, "no column 'xyz'.*set `text_pair` to one of them"),
        ({"text": "label", "label": "text"}, "a text column holds something else.*int64"),
        ({"train": TRAIN[:1]}, "too few classes"),
        ({"test": [{"text": "x", "label": 2}]}, "test.*label: a label stands for no class"),
        ({"train": [{"text": None, "label": 0}, *TRAIN]}, "1 empty values of 21.*row 0"),
        ({"train": [{"text": "x", "label": 0.5}]}, "label column.*double"),
        ({"train": [{"text": "x", "label": None}, *TRAIN]}, "label: values are missing"),
        (
            {"train": [{"text": f"x{n}", "label": ["", "a", "b"][n]} for n in range(3)]},
            "label: values are missing.*1 empty values of 3, the first in row 0",
        ),
        ({"clean": [{"text": "x", "label": "no"}]}, "clean.*a label stands for no class"),
    ],
)
def test_unsuitable_tables_are_refused(load, settings, message):
    with pytest.raises(InputError, match=message):
        load(**settings)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.txt", b"x", "not a format that can be read. Found .txt"),
        ("train.parquet", b"PAR1 no", "cannot be read"),
        ("train.csv", b"", "cannot be read"),
        ("train.csv", b"text,label\na,0,1\n", "cannot be read"),
        ("train.csv", b"text,label\n\xff\xfe,0\nb,1\n", "cannot be read"),
        ("train.json", b'[{"text": "a"', "cannot be read"),
        ("train.jsonl", b'{"text": "a", "label": 0}\n[1]\n', "not an object"),
        ("train.jsonl", b'{"text": "a", "label": %d}\n' % 2**70, "cannot be read.*Overflow"),
        ("train.json", b"[" * 100_000, "cannot be read.*Recursion"),
        ("train.json", b'[{"text": "a", "label": 0}, {"text": "b", "label": "x"}]', "cannot be"),
        ("train.jsonl", b"", "no column 'text'.*Found the columns none"),
        ("train.csv", b"text,label\n", "too few classes|has no rows|label column"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    config = FilesConfig(train=tmp_path / name, test=write(tmp_path, "t.parquet", TEST))
    with pytest.raises(InputError, match=message):
        Files(config).load()


def test_missing_files_are_refused(tmp_path):
    test = write(tmp_path, "t.parquet", TEST)
    with pytest.raises(InputError, match=r"train.*no such file. Found nothing"):
        Files(FilesConfig(train=tmp_path / "no.csv", test=test)).load()
    with pytest.raises(InputError, match=r"test.*no such file. Found a folder"):
        Files(FilesConfig(train=test, test=tmp_path)).load()


def test_folder_names_add_no_columns(tmp_path):
    folder = tmp_path / "label=1"
    folder.mkdir()
    config = FilesConfig(
        train=write(folder, "train.parquet", TRAIN), test=write(folder, "test.parquet", TEST)
    )
    assert set(Files(config).load().test.labels) == {0, 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"classes": ["a", "a"]},
        {"classes": ["a"]},
        {"clean_share": 1.0},
        {"train_per_class": {"a": 0}},
        {"duplicates": "keep"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        FilesConfig(train=Path("a.csv"), test=Path("b.csv"), **settings)
