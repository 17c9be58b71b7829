"""The columns of numbers that tables for people show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bdbench.results.render.cells import (
    changed_by,
    column_of,
    head,
    interval,
    number,
    shown_columns,
)

__all__ = ["Field", "Shown", "fields_of", "ranking_fields"]

BETWEEN = " 95 %"
"""What a head ends in where intervals stand beside the means."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a cell of a table shows.

    Attributes:
        text: The number, or ``-``.
        more: What follows it: an interval, a mark of significance.
        tone: ``better`` or ``worse`` where that is more than chance.
    """

    text: str
    more: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of numbers.

    Attributes:
        head: What stands above it.
        cell: What a row, or an entry of a ranking, has in it.
        intervals: Its cells have intervals beside the means.
    """

    head: str
    cell: Callable[[Mapping[str, Any]], Shown]
    intervals: bool = False

    @property
    def name(self) -> str:
        """The head without an arrow to where better is."""
        return self.head.removesuffix(BETWEEN).rstrip(" ↑↓")


def fields_of(comparison: Mapping[str, Any]) -> list[Field]:
    """The columns of a table of results, the most important first."""
    attack, utility = column_of(comparison, "attack"), column_of(comparison, "utility")
    found = []
    for role, column in (("attack", attack), ("utility", utility)):
        if column:
            between = _has_intervals(comparison, column)
            found += [_mean(column, with_interval=between), _change(column, role)]
    if attack:
        found.append(_difference("over floor", attack, "over_floor"))
    if utility:
        found.append(_difference("on control", utility, "control_effect"))
    others = [column for column in shown_columns(comparison) if column not in (attack, utility)]
    # The floor comes last: the distance to it says more.
    others.sort(key=lambda column: column["role"] == "floor")
    return found + [_mean(column, with_interval=False) for column in others]


def _has_intervals(comparison: Mapping[str, Any], column: Mapping[str, Any]) -> bool:
    return any(interval(column, row["values"][column["name"]]) for row in comparison["rows"])


def _mean(column: Mapping[str, Any], *, with_interval: bool) -> Field:
    def cell(row: Mapping[str, Any]) -> Shown:
        estimate = row["values"][column["name"]]
        if not estimate:
            return Shown("-")
        between = interval(column, estimate) if with_interval else ""
        return Shown(number(column, estimate["mean"]), f" {between}" if between else "")

    name = f"{head(column)}{BETWEEN}" if with_interval else head(column)
    return Field(name, cell, intervals=with_interval)


def _change(column: Mapping[str, Any], role: str) -> Field:
    def cell(row: Mapping[str, Any]) -> Shown:
        change = row["changes"][role]
        if not change:
            return Shown("" if row["baseline"] else "-")
        tone = changed_by(change, column["direction"])
        text = number(column, change["mean"], signed=True)
        return Shown(text, "*" if change["significant"] else "", tone)

    return Field(_change_head(column), cell)


def _change_head(column: Mapping[str, Any]) -> str:
    return f"Δ {head(column)}".replace("clean ", "")


def _difference(name: str, column: Mapping[str, Any], key: str) -> Field:
    def cell(row: Mapping[str, Any]) -> Shown:
        estimate = row[key]
        return Shown(number(column, estimate["mean"], signed=True) if estimate else "-")

    return Field(name, cell)


def ranking_fields(comparison: Mapping[str, Any]) -> Iterator[Field]:
    """The columns of numbers of a ranking; the last is the worst case over the attacks."""
    attack, utility = column_of(comparison, "attack"), column_of(comparison, "utility")
    yield Field("mean rank", lambda entry: Shown(f"{entry['mean_rank']:.2f}"))
    if attack:
        yield Field(
            f"mean {head(attack)}", lambda entry: Shown(number(attack, entry["mean_attack"]))
        )
    if utility:
        yield Field(
            _change_head(utility),
            lambda entry: Shown(number(utility, entry["utility_change"], signed=True)),
        )
    yield Field("won-tied-lost", _record)
    if attack:
        yield Field(
            f"worst {head(attack)}",
            lambda entry: Shown(number(attack, entry["worst_attack"]["value"])),
        )


def _record(entry: Mapping[str, Any]) -> Shown:
    return Shown(f"{entry['wins']}-{entry['ties']}-{entry['losses']}")
