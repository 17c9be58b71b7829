"""Intervals and tests for values that were measured over seeds and test rows.

The design. A value is a table of S seeds by R test rows: every seed trains a victim of its own,
and every victim answers the same rows. Both are samples, of trainings that could have been and
of inputs that could have come, so both count as random and they are *crossed*: the two-way
random-effects layout without replication,

    x[s, r] = mu + a[s] + b[r] + e[s, r],

the same as that of readers and cases in the evaluation of diagnostic tests (Obuchowski and
Rockette 1995; Hillis 2007). With the mean squares of seeds, rows and residual, and

    A = MS_seed / (S R) = variance of the S seed means / S,
    B = MS_row  / (S R) = variance of the R row means / R,
    C = MS_residual / (S R),

the variance of the grand mean is var(a)/S + var(b)/R + var(e)/(S R), which A + B - C estimates
without bias (Searle, Casella and McCulloch 1992, chapter 4).

The distance that the mean may be from mu. A rests on S - 1 degrees of freedom, B on R - 1, and
with three seeds the first is all that matters. Each part gets the t quantile of its own degrees
of freedom (Howe 1974),

    reach(alpha)^2 = max( t[S-1]^2 A + t[R-1]^2 max(B - C, 0),  t[R-1]^2 B ).

The usual way, one t quantile with Satterthwaite's degrees of freedom for A + B - C, is shorter
but does not hold its level where it is needed: with three seeds and A nine tenths of the whole
it rejects a true hypothesis in about 2 % of cases at the level 0.5 %, and every correction for
many comparisons works at such levels. The second part of the maximum guards against an A that
is small by chance.

Why not something simpler. A bootstrap over three seeds draws from ten different samples and has
intervals that are too short by far; McNemar's test on the answers of all seeds together takes
three victims for one and calls chance between victims an effect. `tests/results` and
`benchmarks/coverage.py` show both at work beside what is done here.

What cannot be had. A distribution over seeds that is very skewed (most victims at one end, a few
far off) does not show in three draws from it: coverage falls below 90 % there, with every method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = [
    "ALPHA",
    "MIN_SEEDS",
    "Spread",
    "difference_interval",
    "holm",
    "p_value",
    "share_interval",
    "spread",
    "spread_of_seeds",
]

_Array = np.ndarray[Any, Any]

ALPHA = 0.05
"""Intervals are of 1 - ALPHA, and a difference is significant below ALPHA."""

MIN_SEEDS = 3
"""With fewer seeds there are no intervals and no tests."""

LEAST_P = 1e-300
"""Smaller p values are given as this."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A grand mean and how uncertain it is; arrays of one shape, one element a table.

    Attributes:
        mean: The mean over seeds and rows.
        seed: A above: the variance of the mean that the seeds show.
        row: max(B - C, 0): what the rows add to it.
        row_alone: B: the variance of the mean that the rows show.
        seeds: S.
        rows: R; 0 where only one number a seed is known.
    """

    mean: _Array
    seed: _Array
    row: _Array
    row_alone: _Array
    seeds: int
    rows: int

    def reach(self, alpha: float | _Array) -> _Array:
        """How far from the mean the truth may be, at a level; see the module's docstring."""
        seed = _quantile(self.seeds - 1, alpha) ** 2 * self.seed
        if not self.rows:
            return np.asarray(np.sqrt(seed))
        t_row = _quantile(self.rows - 1, alpha) ** 2
        return np.asarray(np.sqrt(np.maximum(seed + t_row * self.row, t_row * self.row_alone)))

    def at_least(self, step: float) -> Spread:
        """The same, with the least variance that such a table can be trusted to have.

        It is what one cell and one row (in all seeds) that differ by `step` from the rest would
        have shown. Tables in which nothing, or next to nothing, differs claim too much
        otherwise; the addition of half a pair on each side serves the same end for paired
        shares (Agresti and Min 2005).
        """
        if not self.rows:
            return self
        row = np.maximum(self.row, (step / self.rows) ** 2)
        seed = np.maximum(self.seed, (step / (self.seeds * self.rows)) ** 2)
        return replace(self, seed=seed, row=row)


def spread(values: _Array) -> Spread:
    """The spread of tables of seeds by rows.

    Args:
        values: Shape [..., S, R], S and R at least 2, nothing missing.
    """
    seeds, rows = values.shape[-2:]
    mean = values.mean((-2, -1))
    of_seed, of_row = values.mean(-1), values.mean(-2)
    residual = values - of_seed[..., None] - of_row[..., None, :] + mean[..., None, None]
    a = of_seed.var(-1, ddof=1) / seeds
    b = of_row.var(-1, ddof=1) / rows
    c = (residual**2).sum((-2, -1)) / ((seeds - 1) * (rows - 1) * seeds * rows)
    return Spread(mean, a, np.maximum(b - c, 0), b, seeds, rows)


def spread_of_seeds(values: _Array) -> Spread:
    """The spread where one number a seed is all that is known: the seeds' alone.

    Args:
        values: Shape [..., S], S at least 2.
    """
    seeds = values.shape[-1]
    nothing = np.zeros(values.shape[:-1])
    return Spread(values.mean(-1), values.var(-1, ddof=1) / seeds, nothing, nothing, seeds, 0)


def share_interval(found: Spread, low: float, high: float) -> tuple[_Array, _Array]:
    """The interval of a mean of values between `low` and `high`, such as 0 and 1.

    Wilson's interval with the effective number of rows in place of their number, as in sample
    surveys (Franco, Little, Louis and Slud 2019): with the mean p on the scale from 0 to 1, the
    limits are the two q with (p - q)^2 = k q (1 - q), where k = reach^2 / (p (1 - p)). It stays
    within the bounds, and near them it is as long as it must be, where p +- reach is too short.

    If all values lie on one bound there is no p (1 - p). Then k is the larger of t[S-1]^2/(S R)
    and t[R-1]^2/R, the limits of k as the last cell, or the last row of all seeds, joins the
    others. Without rows such a table says nothing, and both ends are NaN.
    """
    width = high - low
    p = (found.mean - low) / width
    room = p * (1 - p)
    least = 0.0
    if found.rows:
        by_cell = _quantile(found.seeds - 1, ALPHA) ** 2 / (found.seeds * found.rows)
        least = float(max(by_cell, _quantile(found.rows - 1, ALPHA) ** 2 / found.rows))
    constant = found.seed + found.row_alone <= _rounding(found.mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.where(constant, least or np.nan, (found.reach(ALPHA) / width) ** 2 / room)
    middle = (p + k / 2) / (1 + k)
    half = np.sqrt(k * room + k**2 / 4) / (1 + k)
    # At p = 0 or 1 one end is p itself, but for rounding.
    least_q, most_q = np.where(p > 0, middle - half, p), np.where(p < 1, middle + half, p)
    unknown = np.isnan(k)
    return (
        np.where(unknown, np.nan, low + width * np.maximum(least_q, 0))[()],
        np.where(unknown, np.nan, low + width * np.minimum(most_q, 1))[()],
    )


def difference_interval(
    found: Spread, low: float | None = None, high: float | None = None
) -> tuple[_Array, _Array]:
    """The interval mean +- reach, within bounds where there are any.

    NaN at both ends where nothing varies and nothing is known of how much it might.
    """
    reach = found.reach(ALPHA)
    reach = np.where(reach <= np.sqrt(_rounding(found.mean)), np.nan, reach)
    least, most = -np.inf if low is None else low, np.inf if high is None else high
    return np.maximum(found.mean - reach, least), np.minimum(found.mean + reach, most)


def p_value(found: Spread) -> _Array:
    """The two-sided p value of the hypothesis that the mean is 0.

    The level at which `Spread.reach` is the distance of the mean from 0; 1 where the mean is 0,
    and NaN where it is not and nothing varies.
    """
    from scipy.optimize import elementwise  # noqa: PLC0415 -- half a second

    distance = np.abs(np.asarray(found.mean, dtype=float))
    spread_, distance = _at_least_once(found), np.atleast_1d(distance)
    none = spread_.reach(ALPHA) <= np.sqrt(_rounding(distance))

    def beyond(log_p: _Array, where: _Array) -> _Array:
        chosen = replace(
            spread_,
            seed=spread_.seed[where],
            row=spread_.row[where],
            row_alone=spread_.row_alone[where],
        )
        return np.asarray(chosen.reach(np.exp(log_p)) - distance[where])

    p = np.where(distance > 0, np.nan, 1.0)
    todo = np.flatnonzero((distance > 0) & ~none)
    least = np.log(LEAST_P)
    if len(todo):
        far = beyond(np.full(len(todo), least), todo) <= 0
        p[todo[far]] = LEAST_P
        todo = todo[~far]
    if len(todo):
        bracket = (np.full(len(todo), least), np.zeros(len(todo)))
        p[todo] = np.exp(elementwise.find_root(beyond, bracket, args=(todo,)).x)
    return p.reshape(np.shape(found.mean))


def holm(p_values: _Array) -> _Array:
    """P values, corrected for their number: what is below ALPHA holds for the whole family.

    Holm (1979): the i-th smallest of m is multiplied by m - i + 1, and none is smaller than one
    before it. The chance of any false claim is then at most ALPHA, whatever the dependence
    between the tests; comparisons that share a victim are not independent.

    Args:
        p_values: Shape [m]; NaN for a test that could not be made, which is then not counted.
    """
    p_values = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    corrected = np.full(p_values.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return corrected


def _quantile(freedom: int, alpha: float | _Array) -> _Array:
    """The upper alpha/2 quantile of Student's t."""
    from scipy.special import stdtrit  # noqa: PLC0415 -- only where there is something to test

    return np.asarray(-stdtrit(freedom, np.asarray(alpha) / 2))


def _rounding(mean: _Array) -> _Array:
    """Variances below this come from rounding."""
    return np.asarray((1e-12 * np.maximum(np.abs(mean), 1)) ** 2)


def _at_least_once(found: Spread) -> Spread:
    mean, seed, row, row_alone = (
        np.atleast_1d(np.asarray(array, dtype=float))
        for array in (found.mean, found.seed, found.row, found.row_alone)
    )
    return Spread(mean, seed, row, row_alone, found.seeds, found.rows)
