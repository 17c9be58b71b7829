"""The full table: every row of the comparison, and the numbers that the page's script sorts by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bdbench.results.render.cells import shown_columns
from bdbench.results.render.html.charts_cost import COSTS, cost_name
from bdbench.results.render.html.places import Row, column_of, state
from bdbench.results.render.html.texts import (
    column_name,
    count,
    estimate,
    interval,
    p_value,
    quantity,
)

__all__ = ["Cell", "Column", "Table", "table"]

SAFE_KEY = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True)
class Cell:
    """What stands in a cell: a value, something smaller behind it, and what it sorts by."""

    text: str
    small: str = ""
    value: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Args:
        key: Ours; what the page's address says to sort by it.
        head: Its name.
        title: What it means.
        numeric: Whether it holds numbers.
        extra: Whether it is hidden until more columns are asked for.
        cells: One a row.
        codes: Whether its texts are identifiers, set in type of one width.
    """

    key: str
    head: str
    title: str
    numeric: bool
    extra: bool
    cells: list[Cell]
    codes: bool = False


@dataclass(frozen=True)
class Table:
    """The columns, and for each row the states that filters ask for."""

    columns: list[Column]
    count: int
    ranked: list[bool]

    @property
    def data(self) -> dict[str, list[float | None]]:
        """The numbers of each column of numbers, by its key."""
        return {c.key: [cell.value for cell in c.cells] for c in self.columns if c.numeric}

    @property
    def omitted(self) -> bool:
        """Whether there are columns to ask for."""
        return any(column.extra for column in self.columns)


def table(comparison: Mapping[str, Any]) -> Table:
    """The table of all rows of all data sets and models."""
    rows: Sequence[Row] = comparison["rows"]
    places = {(row["dataset"], row["model"]) for row in rows}
    columns = [
        _texts("defense", "defense", rows, lambda r: r["defense"]),
        _texts("attack", "attack", rows, lambda r: r["attack"]),
    ]
    if len(places) > 1:
        columns += [
            _texts("dataset", "data set", rows, lambda r: r["dataset"]),
            _texts("model", "model", rows, lambda r: r["model"]),
        ]
    measured = _measured(comparison, rows)
    roles = sum(column["role"] is not None for column in comparison["columns"])
    columns += [
        *measured[:roles],
        *_against(comparison, rows),
        *measured[roles:],
        _texts("needs", "needs", rows, lambda r: r["needs"]),
        *_costs(rows),
        _number("seeds", "seeds", "Seeds that finished.", rows, lambda r: len(r["seeds"])),
        _texts("selection", "selection", rows, lambda r: r["selection"]),
        _texts("isolation", "isolation", rows, lambda r: r["isolation"]),
        _number("failed", "failed", "Cells that failed.", rows, lambda r: r["failed"]),
        _texts("standing", "standing", rows, _standing),
        _texts("reasons", "reasons", rows, lambda r: "; ".join(r["reasons"]), extra=True),
        _texts("cells", "cells", rows, lambda r: " ".join(r["cells"]), extra=True, codes=True),
    ]
    return Table(_distinct(columns), len(rows), [row["ranked"] for row in rows])


def _distinct(columns: Sequence[Column]) -> list[Column]:
    """The columns with a key each, though a metric may be called as one of ours is."""
    taken: set[str] = set()
    distinct = []
    for index, column in enumerate(columns):
        key = column.key if column.key not in taken else f"{column.key}_{index}"
        taken.add(key)
        distinct.append(replace(column, key=key))
    return distinct


def _measured(comparison: Mapping[str, Any], rows: Sequence[Row]) -> list[Column]:
    """The metrics' columns, those with a role first. Those of single classes stay out."""
    known = [c for c in comparison["columns"] if "." not in c["name"]]
    known.sort(key=lambda column: column["role"] is None)
    # At once those that every table for people has.
    first = shown_columns(comparison)
    return [_metric(column, i, rows, extra=column not in first) for i, column in enumerate(known)]


def _metric(column: Mapping[str, Any], index: int, rows: Sequence[Row], *, extra: bool) -> Column:
    name, unit = column["name"], column["unit"]
    signed = name.endswith(("_change", "_vs_control"))
    better = {"higher": " Higher is better.", "lower": " Lower is better."}
    return Column(
        name if SAFE_KEY.fullmatch(name) else f"metric_{index}",
        column_name(name),
        f"{column['summary']}{better.get(column['direction'], '')}",
        numeric=True,
        extra=extra,
        cells=[
            _estimate(row, row["values"].get(name), unit, signed=signed, why=True) for row in rows
        ],
    )


def _estimate(
    row: Row, value: Mapping[str, Any] | None, unit: str, *, signed: bool, why: bool = False
) -> Cell:
    if value is None:
        nothing = state(row) if why and not row["seeds"] else estimate(None)
        return Cell(nothing)
    text = estimate(value, unit, signed=signed)
    return Cell(text, interval(value, unit, signed=signed), value["mean"])


def _against(comparison: Mapping[str, Any], rows: Sequence[Row]) -> list[Column]:
    """Differences: to doing nothing, to the floor, and what happens to the control."""
    columns = []
    for role, key, about in (
        ("attack", "attack_change", "ASR against doing nothing, same seeds and rows"),
        ("utility", "utility_change", "clean accuracy against doing nothing, same seeds and rows"),
    ):
        measured = column_of(comparison, role)
        if measured is None:
            continue
        unit, head = measured["unit"], column_name(measured["name"])
        star = " * : significant, Holm-corrected."
        cells = [_change(row, row["changes"][role], unit) for row in rows]
        columns.append(
            Column(key, f"\u0394 {head}", f"Change of {about}.{star}", True, False, cells)  # noqa: FBT003
        )
        columns.append(
            _number(
                f"{key}_p", f"p, \u0394 {head}", "Holm-corrected p-value of that change.", rows,
                partial(_corrected, role), p_value, extra=True,
            )
        )  # fmt: skip
    for key, head, title, role in (
        ("over_floor", "over floor", "ASR minus the floor, same seeds and rows.", "attack"),
        ("control_effect", "on control", "What it does to a model never attacked.", "utility"),
    ):
        measured = column_of(comparison, role)
        if measured is not None:
            cells = [_estimate(row, row[key], measured["unit"], signed=True) for row in rows]
            columns.append(Column(key, head, title, True, False, cells))  # noqa: FBT003
    return columns


def _corrected(role: str, row: Row) -> float | None:
    change = row["changes"][role]
    value: float | None = change["p_holm"] if change is not None else None
    return value


def _change(row: Row, change: Mapping[str, Any] | None, unit: str) -> Cell:
    cell = _estimate(row, change, unit, signed=True)
    mark = "*" if change is not None and change["significant"] else ""
    return Cell(cell.text, cell.small, cell.value, mark)


def _costs(rows: Sequence[Row]) -> list[Column]:
    keys = dict.fromkeys([*COSTS, *(key for row in rows for key in row["cost"])])
    return [
        _number(
            key if SAFE_KEY.fullmatch(key) else f"cost_{index}",
            "seconds" if key == "seconds" else cost_name(key).lower(),
            f"{cost_name(key)}, mean over seeds.",
            rows,
            partial(_cost, key),
            extra=key != "seconds",
        )
        for index, key in enumerate(keys)
    ]


def _cost(key: str, row: Row) -> float | None:
    value: float | None = row["cost"].get(key)
    return value


def _standing(row: Row) -> str:
    if row["ranked"]:
        return "ranked, on the front" if row["pareto"] else "ranked"
    if not row["gate"]["passed"] and row["gate"]["reason"]:
        return f"not ranked: {row['gate']['reason']}"
    done = count(len(row["seeds"]), "seed") if row["seeds"] else state(row)
    return f"not ranked: {row['unranked_because'] or done}"


def _texts(
    key: str,
    head: str,
    rows: Sequence[Row],
    text: Callable[[Row], str],
    *,
    extra: bool = False,
    codes: bool = False,
) -> Column:
    cells = [Cell(text(row)) for row in rows]
    return Column(key, head, "", numeric=False, extra=extra, cells=cells, codes=codes)


def _number(
    key: str,
    head: str,
    title: str,
    rows: Sequence[Row],
    value: Callable[[Row], float | None],
    form: Callable[[float | None], str] = quantity,
    *,
    extra: bool = False,
) -> Column:
    values = [value(row) for row in rows]
    cells = [Cell(form(found), value=found) for found in values]
    return Column(key, head, title, numeric=True, extra=extra, cells=cells)
