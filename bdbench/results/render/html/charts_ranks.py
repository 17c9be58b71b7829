"""The critical-difference diagram, one row a defense: it stands beside the ranking or on a phone.

After J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7 (2006).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bdbench.results.render.html.places import Place
from bdbench.results.render.html.scales import Scale
from bdbench.results.render.html.svg import WIDTH, chart, element, label
from bdbench.results.render.html.texts import listing
from bdbench.results.render.html.verdict import rank

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["ranks"]

LEFT, TOP, PITCH, BRACKET = 112.0, 44.0, 22.0, 11.0
CAP = 3.0
WIDEST_RANK = 17.0
"""Units that a rank on the axis takes with the space around it."""


def ranks(place: Place) -> Markup | None:
    """Mean ranks on their axis, and a bar beside each group that the data do not separate."""
    ranking = place.ranking
    if ranking is None or len(ranking["defenses"]) < 2:
        return None
    entries = ranking["defenses"]
    cliques = [clique for clique in ranking["cliques"] if len(clique) > 1]
    end = WIDTH - 14 - BRACKET * len(cliques)
    x = Scale(1, len(entries), LEFT + 8, end - 34)
    y = {entry["defense"]: TOP + PITCH * (i + 0.5) for i, entry in enumerate(entries)}
    bottom = TOP + PITCH * len(entries)
    return chart(
        f"{place.identity}-cd",
        bottom + 8,
        "Mean ranks and critical difference",
        _words(ranking, cliques),
        *_axis(x, bottom),
        *_ruler(x, ranking["critical_difference"]),
        *[_row(entry, x, y[entry["defense"]]) for entry in entries],
        *[_bracket(c, y, end + BRACKET * (i + 0.7)) for i, c in enumerate(cliques)],
    )


def _axis(x: Scale, bottom: float) -> list[Markup]:
    marks = []
    every = math.ceil(WIDEST_RANK / (x(2) - x(1)))
    for i in range(round(x.low), round(x.high) + 1, every):
        marks.append(element("line", x1=x(i), x2=x(i), y1=TOP - 4, y2=bottom, class_="grid"))
        marks.append(element("text", str(i), x=x(i), y=TOP - 9, class_="tick mid"))
    marks.append(element("text", "mean rank, 1 is best", x=0, y=TOP - 9, class_="tick"))
    return marks


def _ruler(x: Scale, difference: float | None) -> list[Markup]:
    """The critical difference as a length; held at the axis where it is longer."""
    if difference is None:
        return []
    start, end, y = x(x.low), x(x.low + difference), 12.0
    ends = (
        f"M{start:.2f} {y - CAP}v{2 * CAP}M{start:.2f} {y}H{end:.2f}M{end:.2f} {y - CAP}v{2 * CAP}"
    )
    text = f"CD {difference:.2f}"
    return [
        element("path", d=ends, class_="ruler"),
        element("text", text, x=start - 8, y=y + 3.8, class_="tick end"),
    ]


def _row(entry: Mapping[str, Any], x: Scale, y: float) -> Markup:
    at = x(entry["mean_rank"])
    return element(
        "g",
        label(entry["defense"], LEFT - 8, y, LEFT - 8),
        element("line", x1=LEFT, x2=at, y1=y, y2=y, class_="stem"),
        element("circle", cx=at, cy=y, r=4.5, class_="dot"),
        element("text", rank(entry), x=at + 9, y=y + 3.8, class_="value"),
    )


def _bracket(clique: list[str], y: Mapping[str, float], x: float) -> Markup:
    """A bar from the first to the last of a group, as long as its names have rows here."""
    rows = [y[name] for name in clique if name in y]
    title = element("title", f"Not separated: {listing(clique)}")
    return element(
        "path", title, d=f"M{x:.2f} {min(rows) - 5:.2f}V{max(rows) + 5:.2f}", class_="clique"
    )


def _words(ranking: Mapping[str, Any], cliques: list[list[str]]) -> str:
    text = "; ".join(f"{e['defense']} {rank(e)}" for e in ranking["defenses"]) + "."
    groups = "".join(f" Not separated: {listing(clique)}." for clique in cliques)
    return text + groups
