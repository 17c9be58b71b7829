"""How names and values of a comparison become text for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "SCHEMA",
    "SIGNED",
    "changed_by",
    "column_of",
    "head",
    "interval",
    "left_out",
    "number",
    "place_rows",
    "places",
    "probability",
    "rank_among",
    "ranks",
    "seconds",
    "shown_columns",
    "state",
    "visible",
]

SCHEMA = "bdbench.comparison/3"
"""The schema that every renderer reads."""

ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
SHORT = {
    "clean_accuracy": "clean acc.",
    "clean_accuracy_change": "Δ acc.",
    "asr": "ASR",
    "lfr": "LFR",
    "lfr_floor": "LFR floor",
    "asr_change": "Δ ASR",
    "asr_floor": "floor",
    "der": "DER",
    "robust_accuracy": "robust acc.",
    "accuracy_vs_control": "vs control",
}
HIDDEN = {"accuracy_vs_control", "lfr", "lfr_floor", "worst_class_accuracy"}
"""Columns that a table for people leaves out: one of 100 columns shows nothing."""
MOST = 8
"""Columns of values that a table for people has at most; those of `SHORT` come before others."""
SIGNED = ("_change", "_vs_control")
"""How the names of values end that are differences."""


def visible(text: str) -> str:
    """Foreign text without anything that a terminal would act on or that hides text.

    Control, formatting (bidi) and unassigned characters, and the separators of lines and
    paragraphs, are shown as their code points.
    """
    return "".join(char if _is_harmless(char) else f"\\u{ord(char):04x}" for char in text)


def _is_harmless(char: str) -> bool:
    kind = unicodedata.category(char)
    return kind[0] != "C" and kind not in {"Zl", "Zp"}


# --- columns ----------------------------------------------------------------------------------


def column_of(comparison: Mapping[str, Any], role: str) -> dict[str, Any] | None:
    """The column with a role (``attack``, ``utility``, ``floor``); None where there is none."""
    name = comparison["roles"].get(role)
    found: dict[str, Any] | None = next(
        (column for column in comparison["columns"] if column["name"] == name), None
    )
    return found


def shown_columns(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns of a table for people, in the order of the metrics."""
    columns = [column for column in _candidates(comparison) if column["name"] not in HIDDEN]
    first = sorted(columns, key=lambda column: column["name"] not in SHORT)[:MOST]
    return [column for column in columns if column in first]


def _candidates(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    roles = comparison["roles"]
    # Changes with their tests stand in columns of their own; the metric's are the same means.
    twins = {f"{roles[role]}_change" for role in ("attack", "utility") if roles.get(role)}
    return [
        column
        for column in comparison["columns"]
        # A dot stands before the number of a class.
        if column["name"] not in twins and "." not in column["name"]
    ]


def left_out(comparison: Mapping[str, Any]) -> str:
    """A note on what was measured and is in no column of `shown_columns`; empty if all of it is."""
    shown = shown_columns(comparison)
    names = [head(item).rstrip(" ↑↓") for item in _candidates(comparison) if item not in shown]
    found = [f"{', '.join(names)} (formats html, csv and json)"] if names else []
    if any("." in column["name"] for column in comparison["columns"]):
        found.append("values of single classes (csv and json)")
    return f"also measured: {'; '.join(found)}." if found else ""


def head(column: Mapping[str, Any]) -> str:
    """A column's short head, with an arrow to where better is."""
    name = SHORT.get(column["name"], column["name"].replace("_", " "))
    return f"{name} {ARROWS[column['direction']]}".strip()


# --- values -----------------------------------------------------------------------------------


def number(column: Mapping[str, Any], value: float | None, *, signed: bool = False) -> str:
    """A value for people; a change bears its sign.

    Args:
        column: What it is a value of.
        value: The value.
        signed: Whether it is a difference.
    """
    if value is None:
        return "-"
    signed = signed or column["name"].endswith(SIGNED)
    if column["unit"] != "share":
        return f"{value:+.4g}" if signed else f"{value:.4g}"
    # Adding zero turns -0.0 into 0.0.
    rounded = round(value, 3) + 0.0
    return f"{rounded:+.3f}" if signed and rounded else f"{rounded:.3f}"


def interval(column: Mapping[str, Any], estimate: Mapping[str, Any] | None) -> str:
    """``[low, high]`` of an estimate; empty where there is none."""
    if not estimate or estimate["low"] is None or estimate["high"] is None:
        return ""
    return f"[{number(column, estimate['low'])}, {number(column, estimate['high'])}]"


def probability(value: float) -> str:
    """``p = .012``, or ``p < .001``."""
    return "p < .001" if value < 0.001 else f"p = {value:.3f}".replace("0.", ".")


def seconds(value: float | None) -> str:
    """A time for people."""
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def changed_by(change: Mapping[str, Any] | None, direction: str) -> str:
    """``better`` or ``worse`` where a change is significant, else nothing."""
    if not change or not change["significant"] or direction == "none":
        return ""
    return "better" if (change["mean"] > 0) == (direction == "higher") else "worse"


# --- rows -------------------------------------------------------------------------------------


def state(row: Mapping[str, Any]) -> str:
    """How many seeds a row rests on, or why it has no numbers."""
    failed = row["status"].get("failed", 0)
    if row["status"].get("incompatible"):
        return "cannot run"
    if not row["seeds"]:
        return "failed" if failed else "not run"
    done = len(row["seeds"])
    return f"{done} of {done + failed}" if failed else f"{done}"


def places(comparison: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each (data set, model) once, in the order of the rows: one table for each."""
    return list(dict.fromkeys((row["dataset"], row["model"]) for row in comparison["rows"]))


def place_rows(comparison: Mapping[str, Any], place: tuple[str, str]) -> list[dict[str, Any]]:
    """The rows of one data set and model."""
    return [row for row in comparison["rows"] if (row["dataset"], row["model"]) == place]


def ranks(comparison: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rank of each row among the ranked ones of its attack, 1 for the best.

    Equal means share the better rank, marked ``=``. Empty for rows that are not ranked.

    Args:
        comparison: Says which column ranks, and which way is better.
        rows: All rows of the attacks that they are of.
    """
    column = column_of(comparison, "attack")
    sign = -1 if column and column["direction"] == "higher" else 1
    values: dict[tuple[str, ...], list[float]] = {}
    own: list[float | None] = []
    for row in rows:
        estimate = row["values"].get(column["name"]) if column else None
        value = sign * estimate["mean"] if row["ranked"] and estimate else None
        own.append(value)
        if value is not None:
            values.setdefault(_block(row), []).append(value)
    return [
        "" if value is None else rank_among(value, values[_block(row)])
        for row, value in zip(rows, own, strict=True)
    ]


def _block(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["dataset"], row["model"], row["attack"]


def rank_among(value: float, values: Sequence[float]) -> str:
    """The place of a value among all, smallest first, with a mark if it shares it."""
    tied = "=" if values.count(value) > 1 else ""
    return f"{1 + sum(other < value for other in values)}{tied}"
