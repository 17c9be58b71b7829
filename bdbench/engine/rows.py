"""Examples as parquet: text, numbers, bytes, and numpy arrays of one shape."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import Examples, InputError

__all__ = ["fingerprint", "read_examples", "write_examples"]

ID, LABEL, INPUT = "id", "label", "input."


def write_examples(examples: Examples, path: Path) -> None:
    """Writes rows to a parquet file with columns ``id``, ``label`` and ``input.<field>``.

    Raises:
        InputError: A column holds values that cannot be stored.
    """
    columns = {ID: pa.array(examples.ids, pa.int64()), LABEL: _column(LABEL, examples.labels)}
    for name, values in examples.inputs.items():
        columns[INPUT + name] = _column(name, values)
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_examples(source: Path | pa.BufferReader) -> Examples:
    """Reads what `write_examples` wrote."""
    table = pq.read_table(source)
    inputs = {
        name.removeprefix(INPUT): _values(table.column(name))
        for name in table.column_names
        if name.startswith(INPUT)
    }
    return Examples(inputs, _values(table.column(LABEL)), table.column(ID).to_pylist())


def fingerprint(rows: Examples, row: int) -> bytes:
    """A digest of a row's inputs; neither its place nor its label counts."""
    digest = hashlib.sha256()
    for name in sorted(rows.inputs):
        digest.update(_bytes(rows.inputs[name][row]))
        digest.update(b"\0")
    return digest.digest()


def _bytes(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value if isinstance(value, bytes) else repr(value).encode()


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    try:
        if len(values) and isinstance(values[0], np.ndarray):
            tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack(values))
            tensors.to_numpy_ndarray()  # some types can be written, but not read
            return tensors
        return pa.array(values)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise InputError(
            "a column cannot be stored",
            where=name,
            found=str(error),
            expected="text, numbers, bytes, or numpy arrays of one shape",
        ) from error


def _values(column: pa.ChunkedArray) -> list[Any]:
    if isinstance(column.type, pa.FixedShapeTensorType):
        return list(column.combine_chunks().to_numpy_ndarray())
    return list(column.to_pylist())
