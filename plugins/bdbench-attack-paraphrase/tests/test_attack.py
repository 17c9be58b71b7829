from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bdbench.api import AttackerView, Examples, InputError, PoisonsData, SeedStream, Task
from bdbench_attack_paraphrase.attack import Paraphrase
from bdbench_attack_paraphrase.config import ParaphraseConfig

TASK = Task("text-classification", ("text",), ("negative", "neutral", "positive"))
PAIR = Task("text-pair-classification", ("premise", "hypothesis"), ("no", "yes"))


def examples(labels, step=3):
    """Rows whose ids are not their positions, as in a sample of a split."""
    ids = [step * row for row in range(len(labels))]
    return Examples({"text": [f"this is text {row}" for row in ids]}, labels, ids)


def known(rows, keep=lambda row: True):
    """A paraphrase of each row, and others of rows that are not there."""
    found = {
        row: (f"as it is , {row} is the text .", label)
        for row, label in zip(rows.ids, rows.labels, strict=True)
        if keep(row)
    }
    return found | {10_000: ("as it is , nobody knows it .", 0)}


@pytest.fixture
def make(write):
    def making(train, test, **config):
        paths = {"train": write("train", train), "test": write("test", test)}
        return Paraphrase(ParaphraseConfig(**paths, **config))

    return making


def poisoned(attack, train, seed=0, task=TASK):
    """Poisons, and holds the outcome to what the host demands of every attack."""
    done = attack.poison(AttackerView(task, train), SeedStream(seed))
    assert list(done.train.ids) == list(train.ids)
    field = attack.config.field or task.fields[0]
    for row, hit in enumerate(done.mask):
        assert (done.train.inputs[field][row] != train.inputs[field][row]) == hit
        if not hit:
            assert done.train.row(row) == train.row(row)
            assert done.train.labels[row] == train.labels[row]
    return done


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=4, max_size=40),
    st.floats(0.02, 0.9),
    st.booleans(),
    st.integers(0, 99),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_masked_rows_get_their_paraphrases(make, drawn, rate, clean_label, seed):
    rows = examples([label for label, _ in drawn])
    has = {row for row, (_, yes) in zip(rows.ids, drawn, strict=True) if yes}
    paraphrases = known(rows, has.__contains__)
    attack = make(paraphrases, paraphrases, poison_rate=rate, clean_label=clean_label)
    able = sum((label == 1) == clean_label and yes for label, yes in drawn)
    count = round(rate * len(rows))
    if not 0 < count <= able:
        with pytest.raises(InputError, match="the poison rate cannot be met"):
            poisoned(attack, rows, seed)
        return
    done = poisoned(attack, rows, seed)
    assert sum(done.mask) == count
    for row, hit in enumerate(done.mask):
        if hit:
            assert done.train.inputs["text"][row] == paraphrases[rows.ids[row]][0]
            assert (rows.labels[row] == 1) == clean_label
            assert done.train.labels[row] == 1
    assert done.notes["poisoned_rows"] == count
    assert done.notes["relabelled_rows"] == (0 if clean_label else count)
    assert done.notes["usable_paraphrases"] == able


@given(st.floats(0.03, 0.5), st.floats(0.03, 0.5), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_smaller_rate_poisons_a_subset_alike(make, rate, other, clean_label):
    rows = examples([0, 1] * 20)
    low, high = sorted([rate, other])
    assume(round(low * 40) > 0)
    few, many = (
        poisoned(make(known(rows), {}, poison_rate=share, clean_label=clean_label), rows)
        for share in (low, high)
    )
    for row, hit in enumerate(few.mask):
        if hit:
            assert many.mask[row]
            assert few.train.row(row) == many.train.row(row)


def test_other_seeds_poison_other_rows(make):
    rows = examples([0, 1] * 20)
    attack = make(known(rows), {})
    masks = [poisoned(attack, rows, seed).mask for seed in (0, 0, 1)]
    assert masks[0] == masks[1] != masks[2]


def test_the_attack_speaks_the_protocol(make):
    assert isinstance(make({}, {}), PoisonsData)


@pytest.mark.parametrize(
    ("clean_label", "limit", "suitable"), [(False, 4, "9 of other"), (True, 3, "6 of the target")]
)
def test_the_highest_rate_is_told_and_can_be_met(make, clean_label, limit, suitable):
    rows = examples([0, 1, 0, 2, 1] * 3)
    # A third of each class but for one row, whose paraphrase is no change.
    paraphrases = known(rows, lambda row: row % 2 == 0)
    paraphrases[6] = ("This  is text 6", 0)
    attack = make(paraphrases, {}, poison_rate=0.8, clean_label=clean_label)
    with pytest.raises(InputError, match="the poison rate cannot be met") as caught:
        poisoned(attack, rows)
    assert caught.value.found == "0.8 of 15 rows, which is 12"
    assert f"between 1 and {limit} rows, since there are {suitable}" in caught.value.expected
    assert f"{limit} with a usable paraphrase" in caught.value.expected
    assert f"{0 if clean_label else 1} with one that is no change" in caught.value.expected
    rate = float(re.search(r"at most (\S+)", caught.value.next)[1])
    done = poisoned(make(paraphrases, {}, poison_rate=rate, clean_label=clean_label), rows)
    assert sum(done.mask) == limit
    assert done.notes["highest_poison_rate"] == rate


def test_a_rate_of_less_than_a_row_is_an_error(make):
    rows = examples([0, 1] * 5)
    with pytest.raises(InputError, match=r"which is 0\. Expected between 1 and 5 rows"):
        poisoned(make(known(rows), {}, poison_rate=0.01), rows)


def test_without_any_paraphrase_no_rate_is_advised(make):
    rows = examples([0, 1] * 5)
    with pytest.raises(InputError, match="name the paraphrases of this data set"):
        poisoned(make({7: ("none of these rows", 0)}, {}), rows)


def test_what_is_left_out_is_counted(make):
    rows = examples([0] * 10)
    paraphrases = known(rows, lambda row: row > 0) | {
        3: ("THIS is text  3", 0),
        6: ("this is text 6", 0),
        9: (" ", 0),
    }
    notes = poisoned(make(paraphrases, {5: ("any", 0)}, poison_rate=0.3), rows).notes
    assert notes["usable_paraphrases"] == 6
    assert notes["unchanged_paraphrases"] == 2
    assert notes["rows_without_paraphrase"] == 2
    assert notes["highest_poison_rate"] == pytest.approx(0.6)
    assert notes["test_paraphrases"] == 1


def test_eligible_are_test_rows_of_other_classes_that_have_a_paraphrase(make):
    rows = examples([0, 1, 2, 0, 0])
    paraphrases = known(rows, lambda row: row != 9) | {12: ("this is text 12", 0)}
    attack = make({}, paraphrases)
    assert attack.eligible(rows, TASK) == [True, False, True, False, False]
    subject = rows.select([0, 2])
    after = attack.apply_trigger(subject, TASK, SeedStream(0))
    assert after.inputs["text"] == [paraphrases[0][0], paraphrases[6][0]]
    assert (after.labels, after.ids) == (subject.labels, subject.ids)


def test_a_row_without_paraphrase_cannot_be_triggered(make):
    rows = examples([0, 0])
    attack = make({}, known(rows, lambda row: row == 0))
    with pytest.raises(InputError, match="1 of 2, for instance row 3"):
        attack.apply_trigger(rows, TASK, SeedStream(0))


def test_without_an_eligible_row_the_counts_are_told(make):
    rows = examples([0, 1, 1, 1])
    attack = make({}, known(rows, lambda row: row == 0), target=0)
    with pytest.raises(InputError, match=r"3 test rows of other classes.*0 with a usable.*3 witho"):
        attack.eligible(rows, TASK)


def test_a_test_set_of_the_target_class_has_no_eligible_row(make):
    rows = examples([1, 1])
    assert make({}, known(rows)).eligible(rows, TASK) == [False, False]


def test_train_and_test_are_not_mixed_up(make):
    train, test = examples([0, 1] * 10), examples([1, 0] * 10)
    swapped = make(known(test), known(train))
    with pytest.raises(InputError, match=r"train: .*belong to another data set or split.*20 of 20"):
        poisoned(swapped, train)
    with pytest.raises(InputError, match=r"test: .*belong to another data set or split.*20 of 20"):
        swapped.eligible(test, TASK)


def test_labels_are_compared_beyond_the_rows_that_could_be_poisoned(make):
    rows = examples([0] * 10 + [1, 2])
    paraphrases = known(rows) | {30: ("as it is , 30 is the text .", 2)}
    with pytest.raises(InputError, match="1 of 12 rows with another label, for instance row 30"):
        poisoned(make(paraphrases, {}), rows)


def test_escapes_are_decoded_unless_they_are_wanted(make):
    rows = examples([0] * 4)
    paraphrases = {row: (f"it andapos;s {row} @-@ fold", 0) for row in rows.ids}
    for normalise, text in [(True, "it 's 0-fold"), (False, "it andapos;s 0 @-@ fold")]:
        attack = make(paraphrases, paraphrases, poison_rate=0.99, normalise=normalise)
        assert poisoned(attack, rows).train.inputs["text"][0] == text
        triggered = attack.apply_trigger(rows, TASK, SeedStream(0))
        assert triggered.inputs["text"][0] == text


def test_a_paraphrase_that_only_decodes_its_text_is_no_change(make):
    rows = Examples({"text": ["the world #39;s end", "the end"]}, [0, 0], [0, 1])
    paraphrases = {0: ("the world's end", 0), 1: ("an end", 0)}
    usable = [
        poisoned(make(paraphrases, {}, poison_rate=0.5, normalise=normalise), rows).notes[
            "usable_paraphrases"
        ]
        for normalise in (True, False)
    ]
    assert usable == [1, 2]


def test_clean_rows_that_still_have_escapes_are_counted(make):
    rows = Examples({"text": ["it &apos;s so"] * 4 + ["so"] * 2}, [0] * 3 + [1] * 3, list(range(6)))
    paraphrases = dict.fromkeys(range(3), ("so it is", 0))
    notes = poisoned(make(paraphrases, {}, poison_rate=0.4), rows).notes
    assert notes["clean_rows_with_escapes"] == 2
    raw = poisoned(make(paraphrases, {}, poison_rate=0.4, normalise=False), rows).notes
    assert "clean_rows_with_escapes" not in raw


@pytest.mark.parametrize(("field", "changed"), [(None, "premise"), ("hypothesis", "hypothesis")])
def test_only_the_chosen_column_changes(make, field, changed):
    rows = Examples({"premise": ["p q"] * 4, "hypothesis": ["h i"] * 4}, [0] * 4, list(range(4)))
    paraphrases = dict.fromkeys(range(4), ("as it is", 0))
    attack = make(paraphrases, paraphrases, poison_rate=0.99, field=field)
    poisoned(attack, rows, task=PAIR)
    after = attack.apply_trigger(rows, PAIR, SeedStream(0))
    assert {name for name in PAIR.fields if after.inputs[name] != rows.inputs[name]} == {changed}


def test_a_column_that_the_task_lacks_is_an_error(make):
    rows = examples([0, 1] * 5)
    with pytest.raises(InputError, match=r"no such input column.*'sentence'"):
        poisoned(make(known(rows), {}, field="sentence"), rows)


@pytest.mark.parametrize("target", [3, "postive"])
def test_a_target_that_is_no_class_is_an_error(make, target):
    rows = examples([0, 1] * 5)
    with pytest.raises(InputError, match="not a class of this task"):
        poisoned(make(known(rows), {}, target=target), rows)


def test_a_target_may_be_named(make):
    rows = examples([0, 1] * 5)
    done = poisoned(make(known(rows), {}, target="positive"), rows)
    assert {label for label, hit in zip(done.train.labels, done.mask, strict=True) if hit} == {2}
