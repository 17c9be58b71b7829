"""How names and values of a comparison become text for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

__all__ = ["head", "left_out", "number", "places", "shown_columns", "state", "visible"]

ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
SHORT = {
    "clean_accuracy": "clean acc.",
    "clean_accuracy_change": "Δ acc.",
    "asr": "ASR",
    "lfr": "LFR",
    "asr_change": "Δ ASR",
    "asr_floor": "floor",
    "der": "DER",
    "robust_accuracy": "robust acc.",
    "accuracy_vs_control": "vs control",
}
HIDDEN = {"accuracy_vs_control", "lfr", "lfr_floor", "worst_class_accuracy"}
"""Columns that only the machine-readable formats show: a table of 100 columns shows nothing."""
MOST = 8
"""Columns of values that a table for people has at most; those of `SHORT` come before others."""


def visible(text: str) -> str:
    """Foreign text without anything that a terminal would act on or that hides text."""
    return "".join(
        char if unicodedata.category(char)[0] != "C" else f"\\u{ord(char):04x}" for char in text
    )


def shown_columns(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns of a table for people, in the order of the metrics."""
    columns = [column for column in comparison["columns"] if not _hidden(column)]
    first = sorted(columns, key=lambda column: column["name"] not in SHORT)[:MOST]
    return [column for column in columns if column in first]


def _hidden(column: Mapping[str, Any]) -> bool:
    # A dot stands before the number of a class.
    return column["name"] in HIDDEN or "." in column["name"]


def left_out(comparison: Mapping[str, Any]) -> str:
    """A note on the columns that a table for people leaves out; empty if it has them all."""
    count = sum(not _hidden(column) for column in comparison["columns"])
    count -= len(shown_columns(comparison))
    return f"{count} more columns in the formats csv and json." if count else ""


def head(column: Mapping[str, Any]) -> str:
    """A column's short head, with an arrow to where better is."""
    name = SHORT.get(column["name"], column["name"].replace("_", " "))
    return f"{name} {ARROWS[column['direction']]}".strip()


def number(column: Mapping[str, Any], value: float | None) -> str:
    """A value for people; a change bears its sign."""
    if value is None:
        return "-"
    if column["name"].endswith(("_change", "_vs_control")):
        return f"{value:+.3f}"
    return f"{value:.3f}" if column["unit"] == "share" else f"{value:.4g}"


def state(row: Mapping[str, Any]) -> str:
    """How many seeds a row rests on, or why it has no numbers."""
    failed = row["status"].get("failed", 0)
    if row["status"].get("incompatible"):
        return "cannot run"
    if not row["seeds"]:
        return "failed" if failed else "not run"
    return f"{len(row['seeds'])}" + (f" ({failed} failed)" if failed else "")


def places(comparison: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each (data set, model) once, in the order of the rows: one table for each."""
    return list(dict.fromkeys((row["dataset"], row["model"]) for row in comparison["rows"]))
