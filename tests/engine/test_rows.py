"""What is written to the store is read back as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdbench.api import Examples, InputError
from bdbench.engine.rows import read_examples, write_examples

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def round_trip(folder, examples):
    write_examples(examples, folder / "rows.parquet")
    return read_examples(folder / "rows.parquet")


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT, st.binary(max_size=20), st.integers(0, 9)), max_size=20))
def test_texts_bytes_and_labels_come_back(tmp_path_factory, rows):
    one, two, raw, labels = ([row[index] for row in rows] for index in range(4))
    examples = Examples({"one": one, "two": two, "raw": raw}, labels, list(range(len(rows))))

    found = round_trip(tmp_path_factory.getbasetemp(), examples)

    assert found == examples
    # In their order: a model reads the fields in the order of the task, not of the file.
    assert list(found.inputs) == ["one", "two", "raw"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "int32"])
@pytest.mark.parametrize("shape", [(8,), (3, 4), (2, 3, 4), (1,)])
def test_arrays_come_back_with_shape_and_type(tmp_path, dtype, shape):
    rng = np.random.default_rng(0)
    arrays = [(rng.normal(size=shape) * 50).astype(dtype) for _ in range(5)]

    found = round_trip(tmp_path, Examples({"image": arrays}, [0] * 5, list(range(5))))

    for before, after in zip(arrays, found.inputs["image"], strict=True):
        assert (after.dtype, after.shape) == (before.dtype, before.shape)
        assert np.array_equal(after, before)


def test_arrays_that_are_views_come_back(tmp_path):
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = [whole[:, 1], whole[:, ::2][:, 1], whole[::-1, 3]]

    found = round_trip(tmp_path, Examples({"x": arrays}, [0] * 3, [0, 1, 2]))

    assert np.array_equal(found.inputs["x"], arrays)


def test_selected_rows_of_what_was_read_can_be_written_again(tmp_path):
    arrays = list(np.arange(12, dtype=np.float32).reshape(4, 3))
    once = round_trip(tmp_path, Examples({"x": arrays}, [0, 1, 0, 1], [5, 6, 7, 8]))

    again = round_trip(tmp_path, once.select([3, 0]))

    assert np.array_equal(again.inputs["x"], [arrays[3], arrays[0]])
    assert (again.labels, again.ids) == ([1, 0], [8, 5])


@pytest.mark.parametrize("labels", [["a", "ü\n"], [0.5, -1.0], [None, None], [[1, 2], [3]]])
def test_answers_of_any_plain_kind_come_back(tmp_path, labels):
    assert round_trip(tmp_path, Examples({"text": ["x", "y"]}, labels, [0, 1])).labels == labels


def test_no_rows_are_rows_too(tmp_path):
    found = round_trip(tmp_path, Examples({"text": []}, [], []))

    assert len(found) == 0
    assert list(found.inputs) == ["text"]


@pytest.mark.parametrize(
    "column",
    [
        [object(), object()],
        ["text", 3],
        [np.zeros(3), np.zeros(4)],
        [np.zeros(3), "text"],
        [np.array([True]), np.array([False])],
        [np.array(["a"]), np.array(["b"])],
        ["\ud800", "x"],
        [2**70, 1],
    ],
)
def test_a_column_that_cannot_be_stored_is_refused_by_name(tmp_path, column):
    with pytest.raises(InputError) as caught:
        write_examples(Examples({"thing": column}, [0, 1], [0, 1]), tmp_path / "rows.parquet")

    assert caught.value.what == "a column cannot be stored"
    assert caught.value.where == "thing"
