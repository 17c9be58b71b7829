from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import Examples, InputError, Task
from bdbench.toolkit.rows import (
    assemble,
    hold_out,
    label_numbers,
    label_values,
    sample_per_class,
)

TASK = Task("text-classification", ("text",), ("ham", "spam"))


def rows(texts, labels=None, first=0):
    labels = [0] * len(texts) if labels is None else labels
    return Examples({"text": texts}, labels, list(range(first, first + len(texts))))


def many(count, prefix="t"):
    return rows([f"{prefix}{n}" for n in range(count)], [n % 2 for n in range(count)])


def texts(examples):
    return list(examples.inputs["text"])


@pytest.mark.parametrize(
    ("labels", "classes", "names", "numbers"),
    [
        (["b", "a", "b"], None, ("a", "b"), [1, 0, 1]),
        ([4, 1, 2], None, ("1", "2", "4"), [2, 0, 1]),
        ([10, 9], None, ("9", "10"), [1, 0]),
        ([-1, 1], None, ("-1", "1"), [0, 1]),
        (["spam", "ham"], ["ham", "spam"], ("ham", "spam"), [1, 0]),
        ([1, 1, 0], ["ham", "spam", "other"], ("ham", "spam", "other"), [1, 1, 0]),
        (["1", "0"], ["1", "0"], ("1", "0"), [0, 1]),
        ([1, 0], ["1", "0"], ("1", "0"), [0, 1]),
        ([1, 3, 5], ["1", "2", "3", "4", "5"], ("1", "2", "3", "4", "5"), [0, 2, 4]),
        ([-1, 1], ["-1", "1"], ("-1", "1"), [0, 1]),
        ([1, 0], ["01", "02"], ("01", "02"), [1, 0]),
    ],
)
def test_labels_are_names_or_numbers(labels, classes, names, numbers):
    found, table = label_values(labels, classes, where="x")
    assert found == names
    assert label_numbers(labels, table, where="x") == numbers


def test_where_a_class_has_a_number_for_its_name_no_number_counts():
    _, table = label_values([1], ["1", "other"], where="x")

    assert label_numbers([1], table, where="x") == [0]
    with pytest.raises(InputError, match="Found 0 in row 0"):
        label_numbers([0], table, where="x")


def test_numbers_count_where_the_source_says_so():
    _, table = label_values([0, 1], ["1", "0"], where="x", counted=True)

    assert label_numbers([0, 1, "1"], table, where="x") == [0, 1, 0]


@pytest.mark.parametrize(
    ("classes", "value", "index"),
    [
        (("ham", "spam"), 1, 1),
        (("ham", "spam"), "spam", 1),
        (("1", "2"), 1, 0),
        (("1", "2"), "2", 1),
        (("1", "0"), 0, 1),
    ],
)
def test_a_target_is_read_as_a_label_is(classes, value, index):
    assert Task("t", ("text",), classes).class_index(value) == index


@pytest.mark.parametrize(
    ("classes", "value", "expected"),
    [
        (("ham", "spam"), 2, "one of 0 (ham), 1 (spam)"),
        (("ham", "spam"), True, "one of 0 (ham), 1 (spam)"),
        (("1", "2"), 0, "one of 1, 2"),
        ((), 0, "nothing: the task has no classes"),
    ],
)
def test_what_is_no_class_is_refused(classes, value, expected):
    with pytest.raises(InputError) as caught:
        Task("t", ("text",), classes).class_index(value)

    assert caught.value.expected == expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 2, 2], r"Found 2 in row 1 \(2 such rows\).*'ham', 'spam', 0, 1"),
        ([0, -1], "-1 marks rows without an answer"),
        (["ham", "spma"], "write 'spam' in row 1"),
        (["0"], "all as numbers or all as text"),
    ],
)
def test_a_label_without_a_class_is_refused(labels, message):
    _, table = label_values(labels, ["ham", "spam"], where="file: label")
    with pytest.raises(InputError, match=message):
        label_numbers(labels, table, where="file: label")


def test_one_class_is_no_task():
    with pytest.raises(InputError, match="too few classes"):
        label_values([3, 3], None, where="x")


@given(st.integers(0, 40), st.integers(0, 40))
def test_smaller_samples_are_part_of_larger_ones_and_stay_in_order(one, other):
    small, large = sorted((one, other))
    data = many(80)
    few, more = (sample_per_class(data, TASK, {"spam": n}, where="x") for n in (small, large))
    assert set(few.ids) <= set(more.ids)
    assert list(few.ids) == sorted(few.ids)
    assert sum(few.labels) == small
    assert few.labels.count(0) == 40


def test_a_sample_does_not_depend_on_the_rows_that_are_not_in_it():
    data = many(60)
    taken = sample_per_class(data, TASK, {"ham": 10, "spam": 10}, where="x")
    kept = set(taken.ids)
    gone = next(row for row in data.ids if row not in kept)
    fewer = data.select([row for row in range(60) if row != gone])
    assert sample_per_class(fewer, TASK, {"ham": 10, "spam": 10}, where="x") == taken


def test_the_samples_are_the_same_for_ever():
    assert sample_per_class(many(20), TASK, {"ham": 2, "spam": 2}, where="x").ids == [3, 10, 15, 16]
    assert hold_out(many(20), 0.2, ["text"], where="x")[1].ids == [2, 7, 15, 16]


def test_too_few_rows_of_a_class_are_refused():
    with pytest.raises(InputError, match=r"5 rows of 'spam'.*set train_per_class: \{spam: 5\}"):
        sample_per_class(many(10), TASK, {"spam": 6}, where="x")


def test_an_unknown_class_is_refused():
    with pytest.raises(InputError, match=r"train_per_class: not a class.*write 'spam'"):
        sample_per_class(many(10), TASK, {"spm": 1}, where="x")


def test_only_rows_that_occur_once_are_held_out():
    data = rows(["same", "a", "same", "b", "same"])
    rest, held = hold_out(data, 0.4, ["text"], where="x")
    assert sorted(texts(held)) == ["a", "b"]
    assert texts(rest) == ["same"] * 3
    with pytest.raises(InputError, match="2 of the 5 rows occurring once"):
        hold_out(data, 0.7, ["text"], where="x")


def test_the_clean_pool_is_held_out_and_noted():
    splits = assemble(TASK, many(100), many(10, "test"), None, where="x", clean_share=0.25)
    assert (len(splits.train), len(splits.clean), len(splits.test)) == (75, 25, 10)
    assert sorted([*splits.train.ids, *splits.clean.ids]) == list(range(100))
    assert splits.notes == {"clean_pool": "25 rows held out of train (clean_share 0.25)"}


@pytest.mark.parametrize(
    ("train", "test", "clean", "message"),
    [
        (["a", "t", "t"], ["t"], ["c"], "rows of train also stand in test.*2 of 3.*row 1: 't'"),
        (["a"], ["t"], ["c", "t"], "rows of clean also stand in test.*1 of 2.*row 1"),
        (["a"], ["t"], ["a", "c"], "rows of clean also stand in train.*1 of 2.*row 0"),
    ],
)
def test_rows_in_two_splits_are_refused(train, test, clean, message):
    with pytest.raises(InputError, match=message) as raised:
        assemble(TASK, rows(train), rows(test), rows(clean), where="files")
    assert "set `duplicates: drop`" in raised.value.next


def test_rows_in_two_splits_are_dropped_if_asked():
    splits = assemble(
        TASK,
        rows(["a", "b", "t", "t"], [0, 1, 0, 1]),
        rows(["t", "u", "u"]),
        rows(["u", "a", "c"], first=0),
        where="files",
        duplicates="drop",
    )
    assert (texts(splits.train), splits.train.ids) == (["a", "b"], [0, 1])
    assert (texts(splits.clean), splits.clean.ids) == (["c"], [2])
    assert texts(splits.test) == ["t", "u", "u"]
    assert splits.notes["dropped_duplicates"] == {
        "train rows that stand in test": 2,
        "clean rows that stand in test": 1,
        "clean rows that stand in train": 1,
    }


def test_pairs_are_the_same_only_if_both_texts_are():
    task = Task("text-pair-classification", ("text", "text_pair"), ("ham", "spam"))

    def pair(first, second):
        return Examples({"text_pair": second, "text": first}, [0] * len(first), [0] * len(first))

    def joined(clean):
        return assemble(
            task, pair(["a"], ["b"]), pair(["b"], ["a"]), clean, where="x", duplicates="error"
        )

    assert len(joined(pair(["a"], ["a"])).clean) == 1
    with pytest.raises(InputError, match="stand in train"):
        joined(pair(["a"], ["b"]))


@pytest.mark.parametrize(
    ("train", "test", "clean", "message"),
    [
        ([], ["t"], ["c"], "train split has no rows to use. Found no rows in the source"),
        (["a"], [], ["c"], "test split has no rows"),
        (["a"], ["t"], [], "clean split has no rows"),
        (["t"], ["t"], ["c"], "train split has no rows.*only rows that also stand in test"),
        (["a"], ["t"], ["t", "a"], "clean split has no rows.*train or test"),
    ],
)
def test_an_empty_split_is_refused(train, test, clean, message):
    with pytest.raises(InputError, match=message):
        assemble(TASK, rows(train), rows(test), rows(clean), where="x", duplicates="drop")
