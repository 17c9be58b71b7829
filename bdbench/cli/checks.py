"""Conditions on a leaderboard, such as ``asr>0.2``, for pipelines that must stop."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from bdbench.api import InputError
from bdbench.results.render.cells import state, visible

__all__ = ["Check", "broken_by", "chosen_rows", "parse_check", "remarks"]

Row = Mapping[str, Any]

SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
CHECK = re.compile(r"\s*(?P<column>[^<>=\s]+)\s*(?P<sign><=|>=|==|<|>)\s*(?P<number>\S+)\s*")
ATTACKED = ("dataset", "model", "attack")
"""What an attack took in, or did not."""
DIFFERENCES: dict[str, Callable[[Row], Any]] = {
    "attack_change": lambda row: row["changes"]["attack"],
    "utility_change": lambda row: row["changes"]["utility"],
    "over_floor": lambda row: row["over_floor"],
    "control_effect": lambda row: row["control_effect"],
}
"""What can be asked for besides the columns."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition; a row that meets it fails the check.

    Attributes:
        text: As it was given.
        column: The column that is looked at.
        sign: How it is compared.
        limit: With what.
    """

    text: str
    column: str
    sign: str
    limit: float

    def mean(self, row: Row) -> float | None:
        """The mean that is compared; None if the row has none."""
        values = row["values"]
        own = self.column in values
        estimate = values[self.column] if own else DIFFERENCES[self.column](row)
        return float(estimate["mean"]) if estimate else None

    def fails(self, row: Row) -> bool:
        """Whether a row fails: by its mean, or because not all of its cells have one."""
        mean = self.mean(row)
        return mean is None or not _is_whole(row) or SIGNS[self.sign](mean, self.limit)


def parse_check(text: str, comparison: Mapping[str, Any]) -> Check:
    """A condition from the command line.

    Raises:
        click.UsageError: It is no condition, or names no column of the comparison.
    """
    found = CHECK.fullmatch(text)
    limit = _number(found["number"]) if found else None
    if not found or limit is None:
        raise click.UsageError(
            f"--fail-if {visible(text)}: a column, one of < <= == >= >, and a number, "
            "for instance asr>0.2"
        )
    names = [column["name"] for column in comparison["columns"]]
    if found["column"] not in {*names, *DIFFERENCES}:
        known = ", ".join(visible(name) for name in [*names, *DIFFERENCES])
        raise click.UsageError(
            f"--fail-if {visible(text)}: no column {visible(found['column'])}; there are {known}"
        )
    return Check(text.strip(), found["column"], found["sign"], limit)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_whole(row: Row) -> bool:
    return set(row["status"]) == {"success"}


def chosen_rows(
    comparison: Mapping[str, Any], attacks: Sequence[str], defenses: Sequence[str]
) -> list[Row]:
    """The rows that conditions are about: attacked, by an attack that took, and defended.

    An attack that did not take is left out, which `remarks` tells; but not if it was named.

    Args:
        comparison: The comparison.
        attacks: Only these; all if empty.
        defenses: Only these; all but the undefended baseline if empty.

    Raises:
        click.UsageError: A name is not in the comparison.
        InputError: No row is left, or none of an attack that was named. A check of nothing must
            not pass.
    """
    for kind, names in (("attack", attacks), ("defense", defenses)):
        known = list(dict.fromkeys(row[kind] for row in comparison["rows"]))
        for name in names:
            if name not in known:
                shown = visible(", ".join(known))
                raise click.UsageError(f"--{kind} {visible(name)}: the run has {shown}")
    wanted = [
        row
        for row in comparison["rows"]
        if not row["control"]
        and (row["attack"] in attacks or not attacks)
        and (row["defense"] in defenses if defenses else not row["baseline"])
    ]
    rows = [row for row in wanted if row["gate"]["passed"]]
    if rows and {row["attack"] for row in rows} >= set(attacks):
        return rows
    reasons = dict.fromkeys(
        f"{_names(row, ATTACKED)}: {row['gate']['reason']}"
        for row in wanted
        if not row["gate"]["passed"]
    )
    raise InputError(
        "there is no row to check, and a check of nothing must not pass",
        where="--fail-if",
        found="; ".join(reasons) or "no defense against an attack",
        expected="an attack that took, and a defense besides `none`",
        next="name others with --attack and --defense",
    )


def remarks(comparison: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[str]:
    """A line for each attack, where it did not take, and for each row that is not ranked."""
    gates = {_names(row, ATTACKED): row["gate"] for row in comparison["rows"] if not row["control"]}
    for attacked, gate in gates.items():
        if not gate["passed"]:
            yield f"not checked: {visible(attacked)} ({visible(gate['reason'])})"
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if not row["ranked"] and _is_whole(row):
            reasons.setdefault(row["unranked_because"], []).append(_names(row))
    for reason, names in reasons.items():
        which = visible(names[0]) if len(names) == 1 else f"{len(names)} rows"
        yield f"checked, though not ranked: {which} ({visible(reason)})"


def _names(row: Row, keys: Sequence[str] = (*ATTACKED, "defense")) -> str:
    return " · ".join(row[key] for key in keys)


def broken_by(checks: Sequence[Check], rows: Sequence[Row]) -> Iterator[str]:
    """A line for each condition that some row meets, and one for each such row."""
    for check in checks:
        failing = [row for row in rows if check.fails(row)]
        if failing:
            yield f"{check.text} fails {len(failing)} of {len(rows)} rows:"
        for row in failing:
            names = _names(row)
            mean = check.mean(row)
            if mean is None:
                yield f"  {names}: no {check.column}, which counts as failing ({state(row)})"
            elif not _is_whole(row):
                done = f"{state(row)} seeds"
                yield f"  {names}: {check.column} is {mean:.6g} of {done}, which counts as failing"
            else:
                yield f"  {names}: {check.column} is {mean:.6g}"
