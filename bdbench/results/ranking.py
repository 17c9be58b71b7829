"""Ranks of defenses over attacks, and which of their differences can be told from chance.

The attacks are the blocks of Friedman's test and the defenses its treatments; two defenses whose
mean ranks differ by less than Nemenyi's critical difference cannot be told apart (Demsar 2006).
The chi-square approximation behind Friedman's test wants more blocks than most suites have
attacks, and says so where it is rough. Wins and losses are counted attack by attack, from paired
tests over seeds and rows, and do not rest on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from bdbench.results.estimates import Bounds, Cells, correct, difference
from bdbench.results.statistics import ALPHA

__all__ = [
    "cliques",
    "critical_difference",
    "friedman",
    "mean_ranks",
    "pareto_front",
    "rank_defenses",
]

_Array = np.ndarray[Any, Any]

MIN_DEFENSES, MIN_ATTACKS = 3, 2
FEW_ATTACKS = 10
"""Below this many blocks the chi-square approximation is called rough (Demsar 2006, 3.2.2)."""

DECIMALS = 12
"""Means that agree to so many places are tied."""


def rank_defenses(
    cells: Mapping[tuple[str, str], Cells],
    attacks: Sequence[str],
    utility_changes: Mapping[tuple[str, str], float | None],
    name: str,
    bounds: Bounds,
) -> dict[str, Any]:
    """The ranking of the defenses of one data set and model, in the schema of a comparison.

    Args:
        cells: By attack and defense, every defense with every attack.
        attacks: Those that count.
        utility_changes: By attack and defense.
        name: The value that is ranked by: the attack's success, less is better.
        bounds: Of that value.

    Returns:
        The keys ``defenses``, ``friedman``, ``critical_difference``, ``cliques`` and ``note``.
    """
    defenses = list(dict.fromkeys(defense for _, defense in cells))
    means = np.array(
        [
            [_mean([cell.metrics[name] for cell in cells[attack, defense].values()])]
            for attack in attacks
            for defense in defenses
        ]
    ).reshape(len(attacks), len(defenses))
    ranks = mean_ranks(means)
    results = _paired(cells, attacks, defenses, name, bounds)
    found = []
    for place in np.lexsort((np.arange(len(defenses)), np.round(ranks, DECIMALS))):
        defense = defenses[place]
        worst = int(np.argmax(means[:, place]))
        costs = [utility_changes[attack, defense] for attack in attacks]
        found.append(
            {
                "defense": defense,
                "mean_rank": float(ranks[place]),
                "mean_attack": float(means[:, place].mean()),
                "worst_attack": {"attack": attacks[worst], "value": float(means[worst, place])},
                "utility_change": _mean(costs) if None not in costs else None,
                **results[defense],
            }
        )
    enough = len(defenses) >= MIN_DEFENSES and len(attacks) >= MIN_ATTACKS
    distance = critical_difference(len(defenses), len(attacks)) if enough else None
    return {
        "defenses": found,
        "friedman": friedman(means) if enough else None,
        "critical_difference": distance,
        "cliques": []
        if distance is None
        else cliques([(item["defense"], item["mean_rank"]) for item in found], distance),
        "note": _note(len(defenses), len(attacks)),
    }


def mean_ranks(means: _Array) -> _Array:
    """The mean rank of each treatment over the blocks; 1 is the least, ties share their ranks.

    Args:
        means: Shape [blocks, treatments].
    """
    from scipy.stats import rankdata  # noqa: PLC0415 -- most of a second

    return np.asarray(rankdata(np.round(means, DECIMALS), axis=1).mean(0))


def friedman(means: _Array) -> dict[str, float] | None:
    """Friedman's test that all treatments are alike, corrected for ties (Friedman 1937).

    Args:
        means: Shape [blocks, treatments], at least 2 and 3.

    Returns:
        The statistic and its p value by chi-square; None if every block is one tie.
    """
    from scipy.stats import friedmanchisquare  # noqa: PLC0415 -- most of a second

    rounded = np.round(means, DECIMALS)
    if (rounded == rounded[:, :1]).all():
        return None
    statistic, p = friedmanchisquare(*rounded.T)
    return {"statistic": float(statistic), "p": float(p)}


def critical_difference(treatments: int, blocks: int) -> float:
    """Nemenyi's critical difference of mean ranks at ALPHA (Demsar 2006, 3.2.2).

    CD = q sqrt(k (k + 1) / (6 N)) for k treatments and N blocks, with q the upper ALPHA quantile
    of the studentized range of k groups and infinite degrees of freedom, divided by sqrt(2).
    """
    from scipy.stats import studentized_range  # noqa: PLC0415 -- most of a second

    q = float(studentized_range.ppf(1 - ALPHA, treatments, math.inf)) / math.sqrt(2)
    return q * math.sqrt(treatments * (treatments + 1) / (6 * blocks))


def cliques(ranked: Sequence[tuple[str, float]], distance: float) -> list[list[str]]:
    """The largest groups of neighbours that cannot be told apart; groups of one are left out.

    Args:
        ranked: Names and mean ranks, by rank.
        distance: Mean ranks that differ by less cannot be told apart.
    """
    groups: list[list[str]] = []
    reached = 0
    for start, (_, rank) in enumerate(ranked):
        group = [name for name, other in ranked[start:] if other - rank < distance]
        end = start + len(group)
        if len(group) > 1 and end > reached:
            groups.append(group)
        reached = max(reached, end)
    return groups


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of these no other beats: as little of the first and as much of the second.

    Args:
        points: The attack's success, and the change of utility.
    """
    rounded = [(round(x, DECIMALS), round(y, DECIMALS)) for x, y in points]
    return [
        not any(
            other[0] <= point[0] and other[1] >= point[1] and other != point for other in rounded
        )
        for point in rounded
    ]


def _paired(
    cells: Mapping[tuple[str, str], Cells],
    attacks: Sequence[str],
    defenses: Sequence[str],
    name: str,
    bounds: Bounds,
) -> dict[str, dict[str, int]]:
    """Wins, ties and losses over all other defenses and all attacks; one family of tests."""
    matches = [
        (one, other, found.change(bounds))
        for attack in attacks
        for one, other in combinations(defenses, 2)
        for found in [difference(cells[attack, one], name, cells[attack, other], name)]
        if found is not None
    ]
    correct([change for _, _, change in matches])
    results = {defense: {"wins": 0, "ties": 0, "losses": 0} for defense in defenses}
    for one, other, change in matches:
        if not change["significant"]:
            results[one]["ties"] += 1
            results[other]["ties"] += 1
        else:
            winner, loser = (one, other) if change["mean"] < 0 else (other, one)
            results[winner]["wins"] += 1
            results[loser]["losses"] += 1
    return results


def _note(defenses: int, attacks: int) -> str:
    if defenses < MIN_DEFENSES or attacks < MIN_ATTACKS:
        return (
            f"Friedman's test needs {MIN_DEFENSES} defenses and {MIN_ATTACKS} attacks that are "
            f"ranked; here are {defenses} and {attacks}."
        )
    if attacks < FEW_ATTACKS:
        return (
            f"{attacks} attacks are few: Friedman's p value and the critical difference are rough."
        )
    return ""


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))
