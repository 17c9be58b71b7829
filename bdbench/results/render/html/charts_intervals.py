"""Means with their 95 % intervals, one row a defense, one chart an attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdbench.results.render.html.places import Estimate
from bdbench.results.render.html.scales import Scale
from bdbench.results.render.html.svg import WIDTH, arrow, chart, element, label
from bdbench.results.render.html.texts import estimate, interval, number, spoken

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Line", "intervals"]

LEFT, TOP, PITCH = 112.0, 20.0, 22.0
RIGHT, RIGHT_SIGNED = 122.0, 142.0
"""Room for the numbers; those with signs are longer."""


@dataclass(frozen=True)
class Line:
    """One row: a name, an estimate, whether it is ranked, and the floor if there is one."""

    name: str
    value: Estimate | None
    ranked: bool
    missing: str = ""
    floor: Estimate | None = None


def intervals(
    identity: str,
    title: str,
    lines: Sequence[Line],
    ends: tuple[float, float],
    *,
    unit: str = "share",
    signed: bool = False,
) -> Markup:
    """The chart.

    Args:
        identity: Unique on the page, ours.
        title: What is shown, of which attack.
        lines: From top to bottom.
        ends: Of the axis; the same for all charts that are compared. Arrows point to what lies
            beyond.
        unit: Of the values.
        signed: Whether they are differences, drawn from a line at 0.
    """
    end = WIDTH - (RIGHT_SIGNED if signed else RIGHT)
    x = Scale(*ends, LEFT + 6, end - 6)
    bottom = TOP + PITCH * len(lines)
    rows = [
        _row(line, x, TOP + PITCH * (i + 0.5), unit=unit, signed=signed)
        for i, line in enumerate(lines)
    ]
    return chart(
        identity,
        bottom + 20,
        title,
        "; ".join(f"{n.name}: {spoken(n.value, unit, signed=signed)}" for n in lines) + ".",
        *_axis(x, bottom, signed=signed),
        *_floors(lines, x, unit),
        *rows,
    )


def _axis(x: Scale, bottom: float, *, signed: bool) -> list[Markup]:
    marks = []
    for tick in x.ticks(5):
        at = x(tick)
        kind = "zero" if signed and tick == 0 else "grid"
        marks.append(element("line", x1=at, x2=at, y1=TOP, y2=bottom, class_=kind))
    for tick in x.ticks(4):
        text = number(tick, "", signed=signed)
        marks.append(element("text", text, x=x(tick), y=bottom + 13, class_="tick mid"))
    return marks


def _floors(lines: Sequence[Line], x: Scale, unit: str) -> list[Markup]:
    """A piece of line for each row: equal floors make one line."""
    marks = []
    first = next((line.floor for line in lines if line.floor), None)
    for i, line in enumerate(lines):
        if line.floor:
            at = x(line.floor["mean"])
            y = TOP + PITCH * i
            marks.append(element("line", x1=at, x2=at, y1=y, y2=y + PITCH, class_="floor"))
    if first:
        at = x(first["mean"])
        text = f"floor {estimate(first, unit)}"
        near = at > x.start + 40
        class_ = "tick mid floor-name" if near else "tick floor-name"
        marks.append(element("text", text, x=at if near else at - 4, y=TOP - 7, class_=class_))
    return marks


def _row(line: Line, x: Scale, y: float, *, unit: str, signed: bool) -> Markup:
    name = label(line.name, LEFT - 8, y, LEFT - 8)
    right = x.end + 12
    if line.value is None:
        missing = element("text", line.missing, x=right, y=y + 3.8, class_="tick")
        return element("g", name, missing)
    at = x(line.value["mean"])
    marks = []
    if line.value["low"] is not None and line.value["high"] is not None:
        low, high = x(line.value["low"]), x(line.value["high"])
        marks.append(element("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"))
        marks += [
            element("path", d=arrow(x(value) + 4 * side, y, side, 0, 5), class_="whisker")
            for value in (line.value["low"], line.value["high"])
            if (side := x.beyond(value))
        ]
    class_ = "dot" if line.ranked else "dot hollow"
    side = x.beyond(line.value["mean"])
    marks.append(
        element("path", d=f"{arrow(at + 5 * side, y, side, 0, 9)}Z", class_=class_)
        if side
        else element("circle", cx=at, cy=y, r=3.6, class_=class_)
    )
    text = element(
        "text",
        element("tspan", estimate(line.value, unit, signed=signed), class_="mean"),
        element("tspan", interval(line.value, unit, signed=signed), dx=5),
        x=right,
        y=y + 3.8,
        class_="value",
    )
    return element("g", name, *marks, text)
