"""Where the names of points go, so that none hides another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Box", "Placed", "place"]

HEIGHT = 12.0
GAP = 7.0
RINGS = (0.0, 9.0, 18.0, 28.0, 40.0, 54.0, 70.0, 88.0, 108.0, 130.0)
SIDES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
"""Right, left, above, below, then the corners."""


@dataclass(frozen=True)
class Box:
    """A rectangle in units, `y` growing downwards."""

    x1: float
    y1: float
    x2: float
    y2: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(width, 0.0) * max(height, 0.0)

    def holds(self, other: Box) -> bool:
        """Whether the other lies inside."""
        return (
            self.x1 <= other.x1
            and self.y1 <= other.y1
            and self.x2 >= other.x2
            and self.y2 >= other.y2
        )


@dataclass(frozen=True)
class Placed:
    """A name's box, and how far off its point it stands, in units; 0 beside it."""

    box: Box
    away: float


def place(
    points: Sequence[tuple[float, float]],
    widths: Sequence[float],
    frame: Box,
    lines: Sequence[Box] = (),
) -> list[Placed]:
    """A place for each name, near its point, inside the frame, clear of points and other names.

    Greedy: the points with most neighbours choose first, each the place that hides least; nearer
    ones are better.

    Args:
        points: Their centres.
        widths: Of the names, in units.
        frame: What no name may leave.
        lines: What a name had better not lie on.
    """
    dots = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    taken: list[Box] = []
    found: dict[int, Placed] = {}
    for index in sorted(range(len(points)), key=lambda i: -_crowd(points, i)):
        candidates = _candidates(points[index], widths[index])

        def cost(candidate: Placed) -> float:
            hidden = sum(candidate.box.overlap(box) for box in dots) + 4 * sum(
                candidate.box.overlap(box) for box in taken
            )
            return hidden + sum(candidate.box.overlap(box) for box in lines) + candidate.away

        inside = [candidate for candidate in candidates if frame.holds(candidate.box)]
        chosen = min(inside or candidates, key=cost)
        taken.append(chosen.box)
        found[index] = chosen
    return [found[i] for i in range(len(points))]


def _crowd(points: Sequence[tuple[float, float]], index: int) -> int:
    x, y = points[index]
    return sum(abs(x - a) < 60 and abs(y - b) < 24 for a, b in points)


def _candidates(point: tuple[float, float], width: float) -> list[Placed]:
    x, y = point
    return [
        Placed(_box(x + side * (GAP + ring), y + rise * (GAP + ring), width, side, rise), ring)
        for ring in RINGS
        for side, rise in SIDES
    ]


def _box(x: float, y: float, width: float, side: int, rise: int) -> Box:
    left = x if side > 0 else x - width if side < 0 else x - width / 2
    top = y - HEIGHT if rise < 0 else y if rise > 0 else y - HEIGHT / 2
    return Box(left, top, left + width, top + HEIGHT)
