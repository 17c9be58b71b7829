"""Data that would make a comparison wrong are refused before anything is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bdbench.api import Examples, Splits, Task
from bdbench.engine.rows import read_examples


def changed(splits, split, **changes):
    return replace(splits, **{split: replace(getattr(splits, split), **changes)})


def test_rows_without_a_text_are_counted(bench):
    task = Task("text-pair-classification", ("text", "text_pair"), ("no", "yes"))

    def part(start, *pairs):
        texts, others = zip(*pairs, strict=True)
        ids = list(range(start, start + len(pairs)))
        return Examples({"text": list(texts), "text_pair": list(others)}, [0] * len(pairs), ids)

    train = part(0, ("a", "b"), ("c", "d"))
    test = part(10, ("e", ""), (" \n", "f"), ("g", "h"))
    clean = part(20, ("", ""))
    notes = bench.notes(bench.data(Splits(task, train, test, clean)))
    assert notes["blank_rows"] == {"test": 2, "clean": 1}
    assert notes["rows"] == {"train": 2, "test": 3, "clean": 1}


def test_splits_are_stored_as_they_are(bench, splits):
    given = splits()
    folder = bench.folder(bench.data(given))

    for name in ("train", "test", "clean"):
        stored, rows = read_examples(folder / f"{name}.parquet"), getattr(given, name)
        assert (stored.labels, stored.ids) == (rows.labels, rows.ids)
        assert np.array_equal(stored.inputs["vector"], rows.inputs["vector"])


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_split_is_refused(bench, splits, refused, split):
    error = refused(bench.data, splits(**{split: 0}))

    assert error["type"] == "InputError"
    assert error["what"] == "a split is empty"
    assert error["where"].endswith(f"{split} split")


def test_there_may_be_no_clean_rows(bench, splits):
    assert bench.data(splits(clean=0))


@pytest.mark.parametrize("split", ["train", "test", "clean"])
@pytest.mark.parametrize("label", [2, -1, "1", 1.0, None])
def test_a_label_out_of_range_is_refused(bench, splits, refused, split, label):
    given = splits()
    labels = [0, 1, 0, label, *getattr(given, split).labels[4:]]

    error = refused(bench.data, changed(given, split, labels=labels))

    assert error["what"] == "a label is out of range"
    assert error["where"].endswith(f"{split} split, row {getattr(given, split).ids[3]}")
    assert (error["found"], error["expected"]) == (repr(label), "0 to 1 (left, right)")


def test_a_task_without_classes_takes_any_answer(bench, splits):
    def answers(rows):
        return replace(rows, labels=[f"word {label}" for label in rows.labels])

    given = splits()
    parts = (answers(rows) for rows in (given.train, given.test, given.clean))

    assert bench.data(Splits(Task("vector-captioning", ("vector",)), *parts))


@pytest.mark.parametrize("split", ["train", "test", "clean"])
def test_two_rows_with_one_id_are_refused(bench, splits, refused, split):
    given = splits()
    ids = list(getattr(given, split).ids)
    ids[3] = ids[5]

    assert refused(bench.data, changed(given, split, ids=ids))["what"] == (
        "two rows have the same id"
    )


@pytest.mark.parametrize("inputs", ["none", "more", "other"])
def test_columns_that_are_not_the_tasks_are_refused(bench, splits, refused, inputs):
    given = splits()
    vectors = given.test.inputs["vector"]
    columns = {"none": {}, "more": {"vector": vectors, "hint": vectors}, "other": {"v": vectors}}

    error = refused(bench.data, changed(given, "test", inputs=columns[inputs]))

    assert error["what"] == "the columns are not those of the task"


@pytest.mark.parametrize(
    ("one", "other"), [("train", "test"), ("clean", "test"), ("clean", "train")]
)
def test_an_input_in_two_splits_is_refused(bench, splits, refused, one, other):
    given = splits()
    vectors = list(getattr(given, one).inputs["vector"])
    vectors[7] = getattr(given, other).inputs["vector"][4].copy()

    error = refused(bench.data, changed(given, one, inputs={"vector": vectors}))

    assert error["what"] == f"the {one} and {other} rows overlap"
    assert error["found"].startswith("1 inputs in both")
    assert "duplicates: drop" in error["next"]


def test_an_input_twice_in_one_split_is_no_overlap(bench, splits):
    given = splits()
    vectors = list(given.train.inputs["vector"])
    vectors[7] = vectors[4]

    assert bench.data(changed(given, "train", inputs={"vector": vectors}))


def pairs(start, first="a", second="b"):
    texts = {"one": [f"{first}{start}", f"x{start}"], "two": [f"{second}{start}", f"y{start}"]}
    return Examples(texts, [0, 1], [start, start + 1])


def test_rows_that_share_one_of_two_columns_are_no_overlap(bench):
    task = Task("vector-classification", ("one", "two"), ("no", "yes"))
    train, test, clean = pairs(0), pairs(10), pairs(20)
    test = test.with_input("one", train.inputs["one"])

    assert bench.data(Splits(task, train, test, clean))


def test_a_limit_keeps_a_balanced_part_in_the_order_of_the_rows(bench, splits):
    given = splits(train=40)
    lopsided = replace(given.train, labels=[0] * 30 + [1] * 10)
    given = replace(given, train=lopsided)

    kept = read_examples(bench.folder(bench.data(given, limit=12)) / "train.parquet")

    assert kept.ids == sorted(kept.ids)
    assert sorted(kept.labels) == [0] * 6 + [1] * 6
    assert kept.labels == [lopsided.labels[row] for row in kept.ids]


def test_a_smaller_limit_is_part_of_a_larger_one(bench, splits):
    def kept(limit):
        return set(read_examples(bench.folder(bench.data(splits(), limit)) / "train.parquet").ids)

    assert kept(4) < kept(11) < kept(39) < kept(None) == kept(40) == kept(1000)


def test_the_notes_count_the_rows_that_are_kept(bench, splits):
    notes = bench.notes(bench.data(splits(train=40, test=20, clean=20), limit=10))

    assert notes["rows"] == {"train": 10, "test": 10, "clean": 10}
    assert notes["train_per_class"] == {"left": 5, "right": 5}


def test_what_a_data_set_notes_is_kept(bench, splits):
    key = bench.data(replace(splits(), notes={"dropped": 3}))

    assert bench.notes(key)["dropped"] == 3
