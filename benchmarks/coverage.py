"""Do intervals cover and tests hold their level? Simulated victims whose truth is known.

    python benchmarks/coverage.py [--tables 4000] [--rows 200 800] [--seeds 3 5 10]

The first table gives, for shares near 0, in the middle and near 1 and for several sizes of the
effects of seed and row, how often the interval holds the truth and how long it is, beside that of
an oracle that knows the variance. The second gives how often a true hypothesis of no difference
is rejected, by the test of bdbench, by one t quantile with Satterthwaite's degrees of freedom, and
by McNemar's test on the answers of all seeds together; the last column is for a family of twelve
tests after Holm's correction. The third gives how often a defense that does lower the success of an
attack, by how much, is told from none: alone, and as the first of twenty tests that are corrected
together. The victims are those of tests/results/test_statistics.py.
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import numpy as np
from scipy import stats

from bdbench.results.statistics import holm, p_value, share_interval, spread

Array = np.ndarray[Any, Any]

SHARES = (0.02, 0.05, 0.5, 0.98)
MIXES = ((0.0, 0.0), (0.0, 1.0), (0.1, 1.0), (0.3, 1.0), (0.3, 3.0), (0.5, 1.0), (1.0, 1.0))
FAMILY = 12
TESTS = 20
LEFT = (0.8, 0.5, 0.1)
CHUNK = 500


def answers(
    rng: np.random.Generator, share: float, shape: tuple[int, int, int], mix: tuple[float, float]
) -> Array:
    count, seeds, rows = shape
    seed_sd, row_sd = mix
    latent = rng.standard_normal(shape, dtype=np.float32)
    latent += np.float32(seed_sd) * rng.standard_normal((count, seeds, 1), dtype=np.float32)
    latent += np.float32(row_sd) * rng.standard_normal((count, 1, rows), dtype=np.float32)
    level = stats.norm.ppf(share) * np.sqrt(1 + seed_sd**2 + row_sd**2)
    return np.asarray(latent > -level, dtype=np.float64)


def no_effect(rng: np.random.Generator, count: int, seeds: int, rows: int, own_sd: float) -> Array:
    """One undefended victim and a family of defenses that change nothing on average."""
    shared = 0.2 * rng.standard_normal((1, count, seeds, 1), dtype=np.float32)
    shared = shared + rng.standard_normal((1, count, 1, rows), dtype=np.float32)
    own = own_sd * rng.standard_normal((FAMILY + 1, count, seeds, 1), dtype=np.float32)
    noise = rng.standard_normal((FAMILY + 1, count, seeds, rows), dtype=np.float32)
    return np.asarray(shared + own + noise > 0, dtype=np.float64)


def satterthwaite(tables: Array) -> Array:
    seeds, rows = tables.shape[-2:]
    found = spread(tables)
    variance = np.maximum(found.seed + found.row, found.row_alone)
    parts = found.seed**2 / (seeds - 1) + found.row**2 / (rows - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.maximum(variance**2 / parts, seeds - 1)
        return np.asarray(2 * stats.t.sf(np.abs(found.mean) / np.sqrt(variance), freedom))


def pooled_mcnemar(tables: Array) -> Array:
    gained, lost = ((tables == sign).sum((-2, -1)) for sign in (1, -1))
    p = 2 * stats.binom.cdf(np.minimum(gained, lost), gained + lost, 0.5)
    return np.asarray(np.minimum(p, 1))


def coverage(count: int, seeds: int, rows: int) -> None:
    rng = np.random.default_rng(seeds * 10_000 + rows)
    for share, mix in itertools.product(SHARES, MIXES):
        ends, means, spreads = [], [], []
        for _ in range(count // CHUNK):
            tables = answers(rng, share, (CHUNK, seeds, rows), mix)
            ends.append(np.stack(share_interval(spread(tables), 0, 1)))
            means.append(tables.mean((-2, -1)))
            spreads.append(tables.mean(-1).std(-1, ddof=1))
        low, high = np.concatenate(ends, axis=1)
        held = np.mean((low <= share) & (share <= high))
        oracle = 2 * stats.norm.ppf(0.975) * np.concatenate(means).std()
        sd = np.sqrt(np.mean(np.concatenate(spreads) ** 2))
        print(
            f"{seeds:5d} {rows:5d} {share:6.2f} {mix[0]:8.1f} {mix[1]:7.1f} {sd:8.3f} "
            f"{held:9.3f} {np.mean(high - low):8.4f} {oracle:8.4f}"
        )


def levels(count: int, seeds: int, rows: int, own_sd: float) -> None:
    rng = np.random.default_rng(seeds * 10_000 + rows)
    single: dict[str, list[Array]] = {}
    for _ in range(max(1, count // CHUNK)):
        none, *defended = no_effect(rng, CHUNK, seeds, rows, own_sd)
        tables = np.stack(defended) - none
        flat = tables.reshape(-1, seeds, rows)
        for name, p in (
            ("bdbench", p_value(spread(flat).at_least(1))),
            ("Satterthwaite", satterthwaite(flat)),
            ("pooled McNemar", pooled_mcnemar(flat)),
        ):
            single.setdefault(name, []).append(p.reshape(FAMILY, CHUNK))
    for name, parts in single.items():
        p = np.concatenate(parts, axis=1)
        claims = np.mean([(holm(family) < 0.05).any() for family in p.T])
        print(
            f"{seeds:5d} {rows:5d} {own_sd:7.1f} {name:15s} {np.mean(p < 0.05):8.4f} "
            f"{np.mean(p < 0.005):8.4f} {claims:8.4f}"
        )


def power(count: int, seeds: int, rows: int, left: float, own_sd: float) -> None:
    """An attack that nearly always succeeds, and a defense that leaves a share of it."""
    rng = np.random.default_rng(seeds * 10_000 + rows)
    shape = (CHUNK, seeds, rows)
    found, spreads = [], []
    for _ in range(max(1, count // CHUNK)):
        before = answers(rng, 0.98, shape, (0.1, 1.0))
        after = answers(rng, left, shape, (own_sd, 1.0))
        found.append(p_value(spread(after - before).at_least(1)))
        spreads.append(after.mean(-1).std(-1, ddof=1))
    p, sd = np.concatenate(found), np.sqrt(np.mean(np.concatenate(spreads) ** 2))
    print(
        f"{seeds:5d} {rows:5d} {left:6.2f} {own_sd:7.1f} {sd:8.3f} "
        f"{np.mean(p < 0.05):8.3f} {np.mean(p < 0.05 / TESTS):14.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, default=4000, help="simulations of each kind")
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 800])
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 10])
    options = parser.parse_args()
    print("seeds  rows  share  seed sd  row sd  between  coverage   length   oracle")
    for seeds, rows in itertools.product(options.seeds, options.rows):
        coverage(options.tables, seeds, rows)
    print("\nseeds  rows  own sd test             at 5 %  at 0.5 %  any of 12")
    for seeds, rows, own_sd in itertools.product(options.seeds, options.rows, (0.0, 0.1, 0.3)):
        levels(options.tables // 4, seeds, rows, own_sd)
    print(f"\nseeds  rows   left  own sd  between    alone  first of {TESTS}")
    for seeds, rows, left, own_sd in itertools.product(
        options.seeds, options.rows, LEFT, (0.1, 0.3, 1.0)
    ):
        power(options.tables // 4, seeds, rows, left, own_sd)


if __name__ == "__main__":
    main()
