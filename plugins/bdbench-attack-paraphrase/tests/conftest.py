from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def write(tmp_path):
    """Writes a file of paraphrases, given by row as (text, label), and tells its path."""

    def writing(name, paraphrases, **columns):
        table = {
            "text": [text for text, _ in paraphrases.values()],
            "label": [label for _, label in paraphrases.values()],
            "row": list(paraphrases),
        } | columns
        path = tmp_path / f"{name}.parquet"
        # The kinds of numbers that published files have.
        kinds = {"label": pa.int8(), "row": pa.int32()}
        arrays = {
            column: pa.array(values, None if values and isinstance(values[0], str) else kind)
            for column, values in table.items()
            if values is not None
            for kind in [kinds.get(column, pa.string())]
        }
        pq.write_table(pa.table(arrays), path)
        return path

    return writing


@pytest.fixture(scope="session")
def published():
    """A folder with sst2, sst2_syntactic and maybe others, each with train and test.parquet."""
    folder = os.environ.get("BDBENCH_DATA")
    if folder is None:
        pytest.skip("BDBENCH_DATA names no folder with sst2/ and sst2_syntactic/")
    return Path(folder)
