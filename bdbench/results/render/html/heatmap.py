"""The cells of the heat map: defenses down, attacks across."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bdbench.results.render.html.palette import step
from bdbench.results.render.html.places import Place, Row, column_of, state
from bdbench.results.render.html.scales import spread
from bdbench.results.render.html.texts import estimate, spoken

__all__ = ["HeatCell", "HeatMap", "heat_map"]


@dataclass(frozen=True)
class HeatCell:
    """One cell: its text, its class, what it says on hovering, and marks behind the number."""

    text: str
    class_: str
    title: str
    marks: str = ""


@dataclass(frozen=True)
class HeatMap:
    """The whole map; `gates` holds the reason for each attack that is not ranked."""

    attacks: list[str]
    gates: dict[str, str]
    rows: list[tuple[str, bool, list[HeatCell]]]
    floor: list[str]
    low: str
    high: str


def heat_map(comparison: Mapping[str, Any], place: Place) -> HeatMap | None:
    """The heat map of a place; None without an attack or a metric of its success."""
    column = column_of(comparison, "attack")
    if column is None or not place.attacks:
        return None
    values = [row["values"][column["name"]] for row in place.scaled]
    low, high = spread(values, (column["bounds"][0], column["bounds"][1]))
    floor = comparison["roles"]["floor"]

    def cell(attack: str, defense: str) -> HeatCell:
        row = place.cells.get((attack, defense))
        if row is None:
            return HeatCell("", "absent", "not part of this run")
        value = row["values"][column["name"]]
        if value is None:
            return HeatCell(state(row), "absent", "; ".join(row["reasons"]) or state(row))
        shade = f"q{step(value['mean'], low, high)}" if row["gate"]["passed"] else "gated"
        return HeatCell(
            estimate(value, column["unit"]),
            shade,
            _title(row, spoken(value, column["unit"])),
            _marks(row),
        )

    defenses = [d for d in place.defenses if any((a, d) in place.cells for a in place.attacks)]
    return HeatMap(
        attacks=place.attacks,
        gates={a: place.gate(a) for a in place.attacks if place.gate(a)},
        rows=[(d, place.ranked(d), [cell(a, d) for a in place.attacks]) for d in defenses],
        floor=[estimate(_floor(place, a, floor), column["unit"]) for a in place.attacks]
        if floor
        else [],
        low=estimate({"mean": low}, column["unit"]),
        high=estimate({"mean": high}, column["unit"]),
    )


def _floor(place: Place, attack: str, name: str) -> Mapping[str, Any] | None:
    """The floor of an attack: of the undefended row if there is one, else of the first."""
    rows = sorted((row for _, row in place.of(attack)), key=lambda row: not row["baseline"])
    return next((r["values"][name] for r in rows if r["values"][name] is not None), None)


def _title(row: Row, value: str) -> str:
    parts = [f"{row['attack']}, {row['defense']}: {value}"]
    parts += [row["gate"]["reason"]] if row["gate"]["reason"] else []
    if row["unranked_because"]:
        parts.append(f"not ranked: {row['unranked_because']}")
    return "; ".join(parts)


def _marks(row: Row) -> str:
    """`n` for a change that may be chance, a dagger for a value that is not ranked."""
    change = row["changes"]["attack"]
    chance = change is not None and change["p"] is not None and not change["significant"]
    apart = bool(row["unranked_because"])
    if not row["gate"]["passed"]:
        return ""
    return ("n" if chance and not row["baseline"] else "") + ("\N{DAGGER}" if apart else "")
