"""From the values of cells to means with intervals, and to paired changes with tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from bdbench.results.records import CellRecord
from bdbench.results.rows import CellRows
from bdbench.results.statistics import (
    ALPHA,
    MIN_SEEDS,
    Spread,
    difference_interval,
    holm,
    p_value,
    share_interval,
    spread,
    spread_of_seeds,
)

__all__ = ["Bounds", "Cell", "Cells", "Sample", "cells_of", "correct", "difference", "sample"]

_Array = np.ndarray[Any, Any]

Bounds = tuple[float | None, float | None]
"""The least and the greatest value that is possible."""

Cells = Mapping[int, "Cell"]
"""The cells of one place (data set, model, attack, defense) that succeeded, by seed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What was measured in one cell.

    Attributes:
        metrics: Values by name.
        rows: The same by test row; None where they are not known.
    """

    metrics: Mapping[str, float | None]
    rows: CellRows | None

    def by_row(self, name: str) -> dict[int, float] | None:
        """A value by test row, only rows that count; None where that is not known."""
        if self.rows is None or name not in self.rows.values:
            return None
        values = self.rows.values[name]
        counts = ~np.isnan(values)
        return dict(zip(self.rows.ids[counts].tolist(), values[counts].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Sample:
    """A value over seeds and, where they are known, test rows.

    Attributes:
        values: One for each seed, shape [S], S > 0.
        table: By seed and row, shape [S, R]; None without rows, or with fewer than two that
            all seeds have.
    """

    values: _Array
    table: _Array | None

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(self.values.mean())

    def spread(self) -> Spread | None:
        """How uncertain the mean is; None with too few seeds."""
        if self.seeds < MIN_SEEDS:
            return None
        if self.table is None:
            return spread_of_seeds(self.values)
        # Seeds may have a few rows of their own; the mean is that of all.
        return replace(spread(self.table), mean=self.values.mean())

    def estimate(self, bounds: Bounds) -> dict[str, Any]:
        """The mean with its interval, in the schema of a comparison.

        Args:
            bounds: Of the value. A value that can be negative is taken for a difference.
        """
        found = self.spread()
        low, high = bounds
        if found is None:
            return self._written(None, None)
        if low is None or high is None:
            return self._written(*difference_interval(found, low, high))
        if low < 0:
            return self._written(*difference_interval(found.at_least(high), low, high))
        return self._written(*share_interval(found, low, high))

    def change(self, bounds: Bounds) -> dict[str, Any]:
        """The mean of differences with its interval and p value; `correct` adds the rest.

        Args:
            bounds: Of the values that were subtracted from each other.
        """
        found, (low, high) = self.spread(), bounds
        if found is None:
            return {**self._written(None, None), "p": None}
        if low is None or high is None:
            written = self._written(*difference_interval(found))
        else:
            found = found.at_least(high - low)
            written = self._written(*difference_interval(found, low - high, high - low))
        return {**written, "p": _number(p_value(found))}

    def _written(self, low: _Array | None, high: _Array | None) -> dict[str, Any]:
        return {
            "mean": self.mean,
            "low": _number(low),
            "high": _number(high),
            "sd": float(self.values.std(ddof=1)) if self.seeds > 1 else None,
            "seeds": self.seeds,
        }


def cells_of(records: Sequence[CellRecord], rows: Mapping[str, CellRows]) -> Cells:
    """The cells that succeeded, by seed."""
    return {
        record.seed: Cell(record.metrics, rows.get(record.cell_id))
        for record in records
        if record.status == "success"
    }


def sample(cells: Cells, name: str) -> Sample | None:
    """A value of a place; None if no seed has it."""
    chosen = [cell for _, cell in sorted(cells.items()) if cell.metrics.get(name) is not None]
    if not chosen:
        return None
    values = np.array([cell.metrics[name] for cell in chosen], dtype=float)
    return Sample(values, _table([cell.by_row(name) for cell in chosen]))


def difference(cells: Cells, name: str, others: Cells, other_name: str) -> Sample | None:
    """One value minus another, by seed and test row; None if no seed has both.

    The two may be of different defenses (one name, two places) or of one cell (two names).
    """
    values, tables = [], []
    for seed in sorted(cells.keys() & others.keys()):
        one, other = cells[seed].metrics.get(name), others[seed].metrics.get(other_name)
        if one is None or other is None:
            continue
        values.append(one - other)
        ours, theirs = cells[seed].by_row(name), others[seed].by_row(other_name)
        tables.append(
            None
            if ours is None or theirs is None
            else {row: ours[row] - theirs[row] for row in ours.keys() & theirs.keys()}
        )
    return Sample(np.array(values), _table(tables)) if values else None


def correct(changes: Sequence[dict[str, Any]]) -> None:
    """Adds `p_holm` and `significant` to the changes of one family, by Holm's correction."""
    known = np.array([math.nan if item["p"] is None else item["p"] for item in changes])
    for item, corrected in zip(changes, holm(known), strict=True):
        item["p_holm"] = _number(corrected)
        item["significant"] = bool(corrected < ALPHA)


def _table(by_row: Sequence[Mapping[int, float] | None]) -> _Array | None:
    known = [rows for rows in by_row if rows is not None]
    if len(known) < len(by_row):
        return None
    shared = sorted(reduce(lambda ids, rows: ids & rows.keys(), known[1:], set(known[0])))
    if len(shared) < 2:
        return None
    return np.array([[rows[row] for row in shared] for rows in known])


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
