"""ASR against the change of clean accuracy, one chart an attack, with the Pareto front."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from bdbench.results.render.html.labels import Box, Placed, place
from bdbench.results.render.html.places import Estimate
from bdbench.results.render.html.scales import Scale
from bdbench.results.render.html.svg import WIDTH, arrow, chart, element, shortened, width_of
from bdbench.results.render.html.texts import estimate, number, output, spoken

__all__ = ["Point", "tradeoff"]

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 300.0, 38.0, 8.0, 8.0, 40.0
LONGEST = 118.0
MOST_NAMES = 14
"""Points that get a name beside them; beyond it, those on the front and the first ones."""


@dataclass(frozen=True)
class Point:
    """A defense: its ASR, its change of utility, and how it stands."""

    name: str
    attack: Estimate
    utility: Estimate
    front: bool
    ranked: bool


def tradeoff(
    identity: str,
    title: str,
    points: list[Point],
    ends: tuple[tuple[float, float], tuple[float, float]],
    names: tuple[str, str],
    floor: Estimate | None,
    unit: str,
) -> Markup:
    """The chart.

    Args:
        identity: Unique on the page, ours.
        title: Of which attack.
        points: One a defense.
        ends: Of the utility's axis and of the attack's, the same for all charts of a place.
            Arrows point to what lies beyond.
        names: Of the utility's change and of the attack's success, for the axes.
        floor: The control's ASR.
        unit: Of the attack's success.
    """
    x = Scale(*ends[0], LEFT + 8, WIDTH - RIGHT - 8)
    y = Scale(*ends[1], HEIGHT - BOTTOM - 6, TOP + 6)
    at = [(x(p.utility["mean"]), y(p.attack["mean"])) for p in points]
    order = sorted(range(len(points)), key=lambda i: not points[i].front)
    named = set(order[:MOST_NAMES])
    texts = {i: shortened(output(points[i].name), LONGEST) for i in sorted(named)}
    frame = Box(LEFT + 2, TOP + 1, WIDTH - RIGHT, HEIGHT - BOTTOM - 1)
    of_floor, room = _floor(y, floor, unit)
    lines = [*_lines(points, x, y), *room, Box(x(0), TOP, x(0) + 1, HEIGHT - BOTTOM)]
    boxes = place([at[i] for i in texts], [width_of(t) + 3 for t in texts.values()], frame, lines)
    labels = [
        _label(points[i], at[i], text, box)
        for (i, text), box in zip(texts.items(), boxes, strict=True)
    ]
    return chart(
        identity,
        HEIGHT,
        title,
        _words(points, names, unit),
        *_axes(x, y, names),
        *of_floor[:1],
        *[_cross(p, x, y) for p in points],
        *_front(points, x, y),
        *[_dot(p, x, y) for p in points],
        *of_floor[1:],
        *labels,
    )


def _axes(x: Scale, y: Scale, names: tuple[str, str]) -> list[Markup]:
    marks = []
    base = HEIGHT - BOTTOM
    for tick in x.ticks(5):
        kind = "zero" if tick == 0 else "grid"
        marks.append(element("line", x1=x(tick), x2=x(tick), y1=TOP, y2=base, class_=kind))
        text = number(tick, "", signed=True)
        marks.append(element("text", text, x=x(tick), y=base + 14, class_="tick mid"))
    for tick in y.ticks(5):
        at = y(tick)
        marks.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
        text = number(tick, "")
        marks.append(element("text", text, x=LEFT - 6, y=at + 3.8, class_="tick end"))
    marks.append(
        element("text", f"{names[0]} \N{RIGHTWARDS ARROW} better", x=WIDTH - RIGHT, y=HEIGHT - 8,
                class_="tick end axis")
    )  # fmt: skip
    marks.append(
        element("text", f"{names[1]} \N{DOWNWARDS ARROW} better", x=0, y=HEIGHT - 8,
                class_="tick axis")
    )  # fmt: skip
    return marks


def _floor(y: Scale, floor: Estimate | None, unit: str) -> tuple[list[Markup], list[Box]]:
    """Its line and its name, which goes on top of all other lines, and the room of the name."""
    if floor is None:
        return [], []
    at = y(floor["mean"])
    text = f"floor {estimate(floor, unit)}"
    below = at + 11 if at < y.start - 14 else at - 4
    name = element("text", text, x=LEFT + 4, y=below, class_="tick floor-name")
    line = element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="floor")
    return [line, name], [Box(LEFT + 4, below - 9, LEFT + 4 + width_of(text), below + 2)]


def _cross(point: Point, x: Scale, y: Scale) -> Markup:
    """The intervals of both values."""
    a, u = point.attack, point.utility
    at, up = x(u["mean"]), y(a["mean"])
    d = ""
    if u["low"] is not None and u["high"] is not None:
        d += f"M{x(u['low']):.2f} {up:.2f}H{x(u['high']):.2f}"
        for value in (u["low"], u["high"]):
            if side := x.beyond(value):
                d += arrow(x(value) + 4 * side, up, side, 0, 5)
    if a["low"] is not None and a["high"] is not None:
        d += f"M{at:.2f} {y(a['low']):.2f}V{y(a['high']):.2f}"
        for value in (a["low"], a["high"]):
            if side := y.beyond(value):
                d += arrow(at, y(value) - 4 * side, 0, -side, 5)
    return element("path", d=d, class_="cross") if d else Markup()


def _lines(points: list[Point], x: Scale, y: Scale) -> list[Box]:
    """What names had better not lie on: the intervals, and the front beside its points."""
    boxes = []
    for p in points:
        at, up = x(p.utility["mean"]), y(p.attack["mean"])
        if p.utility["low"] is not None and p.utility["high"] is not None:
            boxes.append(Box(x(p.utility["low"]), up - 1, x(p.utility["high"]), up + 1))
        if p.attack["low"] is not None and p.attack["high"] is not None:
            boxes.append(Box(at - 1, y(p.attack["high"]), at + 1, y(p.attack["low"])))
        if p.front:
            boxes.append(Box(at - 1, TOP, at + 1, up))
    return boxes


def _front(points: list[Point], x: Scale, y: Scale) -> list[Markup]:
    """Steps through the front, from edge to edge: no defense lies below or to the right of them."""
    front = sorted((p for p in points if p.front), key=lambda p: p.utility["mean"])
    if not front:
        return []
    d = f"M{LEFT:.2f} {y(front[0].attack['mean']):.2f}"
    for point in front:
        d += f"V{y(point.attack['mean']):.2f}H{x(point.utility['mean']):.2f}"
    return [element("path", d=f"{d}V{TOP:.2f}", class_="front")]


def _dot(point: Point, x: Scale, y: Scale) -> Markup:
    """A point, or an arrow at the edge to one beyond the axes."""
    class_ = "dot" + (" on-front" if point.front else "") + ("" if point.ranked else " hollow")
    text = f"{point.name}: {spoken(point.attack)}; change {spoken(point.utility, signed=True)}"
    title = element("title", text)
    across, up = point.utility["mean"], point.attack["mean"]
    right, down = x.beyond(across), -y.beyond(up)
    if not right and not down:
        return element("circle", title, cx=x(across), cy=y(up), r=4.5, class_=class_)
    d = arrow(x(across) + 5 * right, y(up) + 5 * down, right, down, 10)
    return element("path", title, d=f"{d}Z", class_=class_)


def _label(point: Point, at: tuple[float, float], text: str, placed: Placed) -> Markup:
    box = placed.box
    name = element(
        "text",
        element("title", point.name),
        text,
        x=box.x1,
        y=box.y2 - 2.5,
        class_="point-name on-front" if point.front else "point-name",
    )
    if not placed.away:
        return name
    end = (min(max(at[0], box.x1), box.x2), min(max(at[1], box.y1), box.y2))
    line = element("line", x1=at[0], y1=at[1], x2=end[0], y2=end[1], class_="leader")
    return element("g", line, name)


def _words(points: list[Point], names: tuple[str, str], unit: str) -> str:
    parts = [
        f"{p.name}: {names[1]} {estimate(p.attack, unit)}, {names[0]} "
        f"{estimate(p.utility, signed=True)}{', on the front' if p.front else ''}"
        for p in points
    ]
    return "; ".join(parts) + "."
