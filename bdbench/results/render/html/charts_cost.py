"""What each defense spent, as bars: one chart a measure, one bar a defense, one tick an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bdbench.results.render.html.places import Place
from bdbench.results.render.html.scales import Scale
from bdbench.results.render.html.svg import WIDTH, chart, element, label
from bdbench.results.render.html.texts import quantity

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["COSTS", "Spent", "cost_name", "costs", "spent"]

COSTS = {
    "seconds": "Wall time, seconds",
    "cpu_seconds": "CPU time, seconds",
    "forward_rows": "Rows run forward",
    "backward_rows": "Rows run backward",
    "gradient_steps": "Gradient steps",
    "clean_rows_drawn": "Clean rows drawn",
    "reference_models": "Reference models used",
    "peak_memory_mib": "Peak memory, MiB",
    "parameters_changed": "Share of parameters changed",
    "tuning_trials": "Tuning trials",
}
LEFT, ROOM, PITCH, THICK = 112.0, 92.0, 21.0, 11.0

Spent = Mapping[str, Sequence[float]]
"""For each defense, one amount an attack."""


def cost_name(key: str) -> str:
    """A measure's name for people."""
    return COSTS.get(key, key.replace("_", " "))


def spent(place: Place, key: str) -> Spent:
    """The amounts of one measure, the control's among them, of those who have any."""
    amounts = {
        defense: [
            row["cost"][key]
            for row in place.rows
            if row["defense"] == defense and row["cost"].get(key) is not None
        ]
        for defense in place.defenses
    }
    return {defense: values for defense, values in amounts.items() if values}


def costs(identity: str, title: str, amounts: Spent) -> Markup:
    """The chart: a bar to the largest amount, a tick for each attack, both ends as numbers."""
    most = max(max(values) for values in amounts.values())
    x = Scale(0.0, most, LEFT, WIDTH - ROOM)
    rows = [_row(n, v, x, PITCH * (i + 0.5) + 2) for i, (n, v) in enumerate(amounts.items())]
    height = PITCH * len(amounts) + 6
    words = "; ".join(f"{name}: {_ends(values)}" for name, values in amounts.items())
    line = element("line", x1=LEFT, x2=LEFT, y1=2, y2=height - 2, class_="zero")
    return chart(identity, height, title, f"{words}.", *rows, line)


def _row(name: str, values: Sequence[float], x: Scale, y: float) -> Markup:
    top = y - THICK / 2
    bar = element(
        "rect", x=x.start, y=top, width=x(max(values)) - x.start, height=THICK, class_="bar"
    )
    distinct = sorted({round(x(value), 1) for value in values})
    ticks = [
        element("line", x1=at, x2=at, y1=top, y2=top + THICK, class_="notch")
        for at in (distinct[:-1] if len(distinct) > 1 else [])
        if at > x.start + 1
    ]
    text = element("text", _ends(values), x=x(max(values)) + 6, y=y + 3.8, class_="value")
    return element("g", label(name, LEFT - 8, y, LEFT - 8), bar, *ticks, text)


def _ends(values: Sequence[float]) -> str:
    low, high = quantity(min(values)), quantity(max(values))
    return low if low == high else f"{low}\N{EN DASH}{high}"
