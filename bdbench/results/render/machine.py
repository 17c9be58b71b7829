"""Comparisons for machines: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from bdbench.api import Reporter
from bdbench.results.costs import COSTS
from bdbench.results.render.cells import ranks, visible

__all__ = ["CsvReporter", "JsonReporter"]

ESTIMATE = ("mean", "low", "high", "sd", "seeds")
TEST = ("p", "p_holm", "significant")
CHANGES = ("attack", "utility")
DIFFERENCES = ("over_floor", "control_effect")
FORMULA = {"=", "+", "-", "@"}
"""What a spreadsheet takes for the start of a formula."""


class JsonReporter(Reporter):
    """The comparison as it is."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """JSON with the schema's name inside; ASCII only, so that no name acts on a terminal."""
        return json.dumps(comparison, indent=2, allow_nan=False) + "\n"


class CsvReporter(Reporter):
    """One line per row, full precision."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """CSV with a head line; text that a spreadsheet would take for a formula is quoted.

        The column of a value bears its name and holds the mean; ``_low``, ``_high``, ``_sd``
        and ``_seeds`` follow. What is not there is empty; yes is 1 and no is 0.
        """
        names = [column["name"] for column in comparison["columns"]]
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(map(_text, _heads(names)))
        rows = comparison["rows"]
        for row, rank in zip(rows, ranks(comparison, rows), strict=True):
            writer.writerow(map(_cell, _cells(row, rank, names)))
        return buffer.getvalue()


def _heads(names: list[str]) -> Iterator[str]:
    yield from ("dataset", "model", "attack", "defense", "rank", "ranked", "unranked_because")
    yield from ("seeds", "failed", "control", "baseline", "gate_passed", "gate_reason")
    for name in names:
        yield from _group(name, ESTIMATE)
    for name in CHANGES:
        yield from _group(f"{name}_change", (*ESTIMATE, *TEST))
    for name in DIFFERENCES:
        yield from _group(name, ESTIMATE)
    yield "pareto"
    yield from (f"cost_{name}" for name in COSTS)
    yield from ("needs", "selection", "isolation", "cells")


def _group(name: str, parts: tuple[str, ...]) -> Iterator[str]:
    yield from (name if part == "mean" else f"{name}_{part}" for part in parts)


def _cells(row: Mapping[str, Any], rank: str, names: list[str]) -> Iterator[Any]:
    yield from (row["dataset"], row["model"], row["attack"], row["defense"])
    yield from (rank.rstrip("="), row["ranked"], row["unranked_because"])
    yield from (len(row["seeds"]), row["failed"], row["control"], row["baseline"])
    yield from (row["gate"]["passed"], row["gate"]["reason"])
    for name in names:
        yield from _parts(row["values"][name], ESTIMATE)
    for name in CHANGES:
        yield from _parts(row["changes"][name], (*ESTIMATE, *TEST))
    for name in DIFFERENCES:
        yield from _parts(row[name], ESTIMATE)
    yield row["pareto"]
    yield from (row["cost"][name] for name in COSTS)
    yield from (row["needs"], row["selection"], row["isolation"], " ".join(row["cells"]))


def _parts(estimate: Mapping[str, Any] | None, parts: tuple[str, ...]) -> Iterator[Any]:
    yield from (estimate[part] if estimate else None for part in parts)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    shown = visible(text)
    return f"'{shown}" if shown[:1] in FORMULA else shown
