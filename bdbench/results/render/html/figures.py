"""The charts of a place: which there are, on which shared axes, and why one is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bdbench.results.render.html.charts_cost import COSTS, cost_name, costs, spent
from bdbench.results.render.html.charts_intervals import Line, intervals
from bdbench.results.render.html.charts_tradeoff import Point, tradeoff
from bdbench.results.render.html.places import Estimate, Place, Row, column_of, state
from bdbench.results.render.html.scales import Scale, spread
from bdbench.results.render.html.texts import column_name

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Costs", "Figure", "cost_figures", "interval_figures", "tradeoff_figures"]

CHANGE = "change of clean accuracy"


@dataclass(frozen=True)
class Figure:
    """A chart, its caption, and a remark where it must not be read as the others.

    `cut` says that some of it lies beyond the axes.
    """

    caption: str
    drawing: Markup
    remark: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Costs:
    """The charts of what is spent, and the names of the measures that nobody spent or told."""

    figures: list[Figure]
    without: list[str]


def interval_figures(comparison: Mapping[str, Any], place: Place) -> dict[str, list[Figure]]:
    """Charts by what they show: the ASR, the change of clean accuracy, the control's."""
    shown: dict[str, list[Figure]] = {}
    attack, utility = column_of(comparison, "attack"), column_of(comparison, "utility")
    floor = comparison["roles"]["floor"]
    what = "mean and 95 % interval" if place.has_intervals else "mean; too few seeds for intervals"
    if attack is not None:
        values = [row["values"][attack["name"]] for row in place.scaled]
        ends = spread(values, (attack["bounds"][0], attack["bounds"][1]))
        figures = []
        for i, name in enumerate(place.attacks, 1):
            lines = [
                _line(defense, row, row["values"][attack["name"]], floor)
                for defense, row in place.of(name)
            ]
            drawing = intervals(
                f"{place.identity}-i{i}",
                f"{column_name(attack['name'])} under {name}",
                lines,
                ends,
                unit=attack["unit"],
            )
            cut = _beyond([line.value for line in lines], ends)
            figures.append(Figure(name, drawing, place.gate(name), cut))
        shown[f"{column_name(attack['name'])}, {what}"] = figures
    if utility is not None:
        changes = {
            name: [
                _line(defense, row, row["changes"]["utility"])
                for defense, row in place.of(name)
                if not row["baseline"]
            ]
            for name in place.attacks
        }
        control = [
            _line(defense, row, row["control_effect"])
            for defense, row in place.controls.items()
            if not row["baseline"]
        ]
        drawn = [row["changes"]["utility"] for row in place.scaled]
        ends = spread([*drawn, *(line.value for line in control)], around=0.0)
        groups = [("the control, never attacked", control), *changes.items()]
        shown[f"Change of clean accuracy, {what}"] = [
            Figure(
                name,
                intervals(
                    f"{place.identity}-u{i}", f"Change of clean accuracy, {name}", lines, ends,
                    unit=utility["unit"], signed=True,
                ),
                place.gate(name),
                _beyond([line.value for line in lines], ends),
            )
            for i, (name, lines) in enumerate(groups)
            if lines
        ]  # fmt: skip
    return {title: figures for title, figures in shown.items() if figures}


def _line(defense: str, row: Row, value: Estimate | None, floor: str | None = None) -> Line:
    standing = row["values"].get(floor) if floor else None
    missing = state(row) if not row["seeds"] else "no value"
    ranked = row["ranked"] or row["control"]
    return Line(defense, value, ranked, missing, standing)


def tradeoff_figures(comparison: Mapping[str, Any], place: Place) -> list[Figure]:
    """One chart an attack; empty without metrics of both."""
    attack, utility = column_of(comparison, "attack"), column_of(comparison, "utility")
    if attack is None or utility is None:
        return []
    points = {name: _points(place, name, attack["name"]) for name in place.attacks}
    scaled = {row["attack"] for row in place.scaled}
    drawn = [point for name, some in points.items() if name in scaled for point in some]
    across = spread([point.utility for point in drawn], around=0.0)
    up = spread([point.attack for point in drawn], (attack["bounds"][0], attack["bounds"][1]))
    floor = comparison["roles"]["floor"]
    names = (CHANGE, column_name(attack["name"]))
    return [
        Figure(
            name,
            tradeoff(
                f"{place.identity}-t{i}", f"{names[1]} against {CHANGE} under {name}", some,
                (across, up), names, _floor(place, name, floor), attack["unit"],
            ),
            place.gate(name),
            _beyond([p.utility for p in some], across) or _beyond([p.attack for p in some], up),
        )
        for i, (name, some) in enumerate(points.items(), 1)
        if some
    ]  # fmt: skip


def _beyond(values: Sequence[Estimate | None], ends: tuple[float, float]) -> bool:
    """Whether some of these, or of their intervals, lies beyond the ends of an axis."""
    axis = Scale(*ends, 0.0, 1.0)
    return any(
        value[key] is not None and axis.beyond(value[key])
        for value in values
        if value is not None
        for key in ("mean", "low", "high")
    )


def _points(place: Place, attack: str, column: str) -> list[Point]:
    found = []
    for defense, row in place.of(attack):
        value, change = row["values"][column], row["changes"]["utility"]
        if row["baseline"] and change is None and value is not None:
            # Doing nothing changes nothing: it is the point that the others are measured from.
            change = {"mean": 0.0, "low": None, "high": None}
        if value is not None and change is not None:
            found.append(Point(defense, value, change, row["pareto"], row["ranked"]))
    return found


def _floor(place: Place, attack: str, floor: str | None) -> Estimate | None:
    rows = [row["values"].get(floor) for _, row in place.of(attack)] if floor else []
    return next((value for value in rows if value is not None), None)


def cost_figures(place: Place) -> Costs:
    """One chart a measure that anybody spent anything of."""
    keys = dict.fromkeys([*COSTS, *(key for row in place.rows for key in row["cost"])])
    figures, without = [], []
    for i, key in enumerate(keys, 1):
        amounts = spent(place, key)
        if any(value for values in amounts.values() for value in values):
            name = cost_name(key)
            figures.append(Figure(name, costs(f"{place.identity}-c{i}", name, amounts)))
        else:
            without.append(cost_name(key).lower())
    return Costs(figures, without)
