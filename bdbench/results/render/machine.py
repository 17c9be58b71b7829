"""Comparisons for machines: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from bdbench.api import Reporter
from bdbench.results.render.cells import visible

__all__ = ["CsvReporter", "JsonReporter"]


class JsonReporter(Reporter):
    """The comparison as it is."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """JSON with the schema's name inside; ASCII only, so that no name acts on a terminal."""
        return json.dumps(comparison, indent=2, allow_nan=False) + "\n"


class CsvReporter(Reporter):
    """One line per row, full precision."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """CSV with a head line; text that a spreadsheet would take for a formula is quoted."""
        names = [column["name"] for column in comparison["columns"]]
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(
            [
                *("dataset", "model", "attack", "defense", "seeds", "needs"),
                *map(_cell, names),
                "defense_seconds",
            ]
        )
        for row in comparison["rows"]:
            texts = [row["dataset"], row["model"], row["attack"], row["defense"]]
            values = [row["values"][name] for name in names]
            writer.writerow(
                [
                    *map(_cell, texts),
                    len(row["seeds"]),
                    _cell(row["needs"]),
                    *["" if value is None else value for value in values],
                    row["defense_seconds"],
                ]
            )
        return buffer.getvalue()


def _cell(text: str) -> str:
    shown = visible(text)
    return f"'{shown}" if shown[:1] in {"=", "+", "-", "@"} else shown
