"""Values by test row and answers are read as the engine left them, without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bdbench.results.predictions import read_answers
from bdbench.results.rows import gather_rows, read_rows
from bdbench.store.objects import Store

KEY = "ab" * 32


def write(folder, **columns):
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    pq.write_table(table, folder / "rows.parquet")


def test_a_row_that_does_not_count_is_not_a_number(tmp_path):
    write(tmp_path, id=[3, 5, 8], asr=[1.0, None, 0.0], right=[1, 0, 1])

    rows = read_rows(tmp_path)

    assert rows.ids.tolist() == [3, 5, 8]
    np.testing.assert_array_equal(rows.values["asr"], [1, np.nan, 0])
    assert rows.values["right"].dtype == float


def test_scores_of_an_older_store_have_no_rows(tmp_path):
    assert read_rows(tmp_path) is None


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def publish(store, key, make):
    store.ensure("scores", key, lambda folder: make(folder) or {})


def test_rows_are_found_by_the_cells_they_are_of(store, make_record):
    publish(store, KEY, lambda folder: write(folder, id=[1, 2], asr=[0.0, 1.0]))
    done = make_record(seed=0, stages={"scores": KEY})
    failed = make_record(seed=1, status="failed", stages={"scores": "0" * 64})

    rows, notes = gather_rows([done, failed], store)

    assert list(rows) == [done.cell_id]
    assert notes == []


def test_cells_without_rows_are_noted(store, make_record):
    publish(store, KEY, lambda folder: None)

    rows, notes = gather_rows([make_record(stages={"scores": KEY})], store)

    assert rows == {}
    assert notes[0].startswith("1 cells have no values by test row")


def test_damaged_scores_are_noted_and_not_read(store, make_record):
    publish(store, KEY, lambda folder: write(folder, id=[1], asr=[0.0]))
    (store.files(KEY) / "rows.parquet").write_bytes(b"")

    rows, notes = gather_rows([make_record(stages={"scores": KEY})], store)

    assert rows == {}
    assert "damaged" in notes[0]


def test_answers_are_read_by_row(tmp_path):
    table = pa.table({"id": [4, 2], "label": [0, 1], "output.prediction": [1, -1]})
    pq.write_table(table, tmp_path / "predictions.parquet")

    answers = read_answers(tmp_path)

    assert list(answers) == [4, 2]
    assert (answers[4].label, answers[4].prediction) == (0, 1)
    assert list(read_answers(tmp_path, {2})) == [2]


def test_answers_that_are_no_classes_are_none(tmp_path):
    table = pa.table({"id": [4], "label": ["a"], "output.text": ["b"]})
    pq.write_table(table, tmp_path / "predictions.parquet")

    assert read_answers(tmp_path) == {}


def test_a_comparison_needs_no_torch():
    code = "import sys, bdbench.results.comparison; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
