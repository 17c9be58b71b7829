"""What each test row contributed to a cell's values: what intervals and paired tests rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bdbench.results.records import CellRecord
from bdbench.store.objects import CorruptObjectError, Store

__all__ = ["FILE", "CellRows", "gather_rows", "read_rows"]

FILE = "rows.parquet"
"""Beside ``scores.json``: a column ``id`` (the test row), and one for each value that has rows."""

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class CellRows:
    """The values of one cell, row by row.

    Attributes:
        ids: The test rows, shape [n], none twice.
        values: By the name of the value, shape [n]; NaN where a row does not count. The mean
            over the others is the cell's value.
    """

    ids: _Array
    values: Mapping[str, _Array]


def read_rows(folder: Path) -> CellRows | None:
    """Reads what a stage ``scores`` left; None if it left no rows."""
    import pyarrow.parquet as pq  # noqa: PLC0415 -- a tenth of a second

    path = folder / FILE
    if not path.is_file():
        return None
    table = pq.read_table(path)
    values = {
        name: np.asarray(table.column(name).to_numpy(), dtype=float)
        for name in table.column_names
        if name != "id"
    }
    return CellRows(np.asarray(table.column("id").to_numpy()), values)


def gather_rows(
    records: Iterable[CellRecord], store: Store
) -> tuple[dict[str, CellRows], list[str]]:
    """The rows of every cell that has some, by the cell's identity, and notes for the reader.

    A cell without rows is none without a result: its intervals rest on the seeds alone.
    """
    found: dict[str, CellRows] = {}
    absent = damaged = 0
    for record in records:
        if record.status != "success":
            continue
        try:
            rows = read_rows(store.open(record.stages["scores"]).folder)
        except CorruptObjectError:
            damaged += 1
            continue
        if rows is None:
            absent += 1
        else:
            found[record.cell_id] = rows
    notes = []
    if absent:
        notes.append(
            f"{absent} cells have no values by test row: their intervals rest on the seeds alone."
        )
    if damaged:
        notes.append(
            f"the scores of {damaged} cells are damaged in the store: their intervals rest on the "
            "seeds alone until the suite is run again."
        )
    return found, notes
