"""From values to positions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Scale", "spread"]


@dataclass(frozen=True)
class Scale:
    """A straight line from values to units of a chart.

    Args:
        low: The value at `start`.
        high: The value at `end`; larger than `low`.
        start: In units.
        end: In units; below `start` for an axis that goes up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The position of a value; one beyond the ends is held at the end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def beyond(self, value: float) -> int:
        """-1 for a value below `low`, 1 for one above `high`, else 0."""
        return (value > self.high) - (value < self.low)

    def ticks(self, most: int = 5) -> list[float]:
        """At most this many round values (1, 2, 2.5 or 5 times a power of ten) from end to end."""
        step = _step((self.high - self.low) / max(most - 1, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]


def _step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= least * (1 - 1e-9))


def spread(
    estimates: Iterable[Mapping[str, Any] | None],
    bounds: tuple[float | None, float | None] = (None, None),
    *,
    around: float | None = None,
) -> tuple[float, float]:
    """From the lowest to the highest of estimates and their intervals, with a little air.

    Args:
        estimates: Those without a value are passed over.
        bounds: Ends that are known beforehand, as those of a metric; None for those that are not.
        around: A value that must be seen too.
    """
    values = [] if around is None else [around]
    for estimate in estimates:
        if estimate is not None:
            values += [
                estimate[key] for key in ("mean", "low", "high") if estimate[key] is not None
            ]
    least, most = (min(values), max(values)) if values else (0.0, 1.0)
    air = (most - least) * 0.06 or 0.01
    low, high = bounds
    return (least - air if low is None else low, most + air if high is None else high)
