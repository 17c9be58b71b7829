"""Intervals cover and tests hold their level where the truth is known.

The simulated victims answer with 1 where a latent normal variable is above 0; it is a sum of a
level, an effect of the seed, an effect of the row and noise. The expectation over seeds and rows
is then known exactly: Phi(level / sqrt(1 + seed_sd^2 + row_sd^2)).
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bdbench.results.statistics import (
    LEAST_P,
    difference_interval,
    holm,
    p_value,
    share_interval,
    spread,
    spread_of_seeds,
)

MIXES = [(0.0, 0.0), (0.0, 1.0), (0.1, 1.0), (0.3, 1.0), (0.3, 3.0)]
"""Standard deviations of the effects of seed and row; that of the noise is 1."""


def answers(rng, share, shape, seed_sd, row_sd):
    """0/1 tables of the shape [n, S, R] whose expectation is `share`."""
    count, seeds, rows = shape
    latent = rng.standard_normal(shape, dtype=np.float32)
    latent += np.float32(seed_sd) * rng.standard_normal((count, seeds, 1), dtype=np.float32)
    latent += np.float32(row_sd) * rng.standard_normal((count, 1, rows), dtype=np.float32)
    level = stats.norm.ppf(share) * np.sqrt(1 + seed_sd**2 + row_sd**2)
    return (latent > -np.float32(level)).astype(float)


def no_effect(rng, count, seeds, rows, arms, own_sd=0.3):
    """Tables [arms, n, S, R] of one expectation that share victims and rows.

    Every arm has an effect of its own in each seed: a defense that does nothing on average, and
    a little more or less with this victim or that.
    """
    shared = 0.2 * rng.standard_normal((1, count, seeds, 1), dtype=np.float32)
    shared = shared + rng.standard_normal((1, count, 1, rows), dtype=np.float32)
    own = own_sd * rng.standard_normal((arms, count, seeds, 1), dtype=np.float32)
    noise = rng.standard_normal((arms, count, seeds, rows), dtype=np.float32)
    return (shared + own + noise > 0).astype(float)


def satterthwaite(tables):
    """P values by one t quantile for A + B - C, as readers and cases are often tested."""
    seeds, rows = tables.shape[-2:]
    found = spread(tables)
    variance = np.maximum(found.seed + found.row, found.row_alone)
    parts = found.seed**2 / (seeds - 1) + found.row**2 / (rows - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.maximum(variance**2 / parts, seeds - 1)
        return 2 * stats.t.sf(np.abs(found.mean) / np.sqrt(variance), freedom)


def pooled_mcnemar(ones, others):
    """McNemar's exact test on the answers of all seeds together."""
    gained = ((ones == 1) & (others == 0)).sum((-2, -1))
    lost = ((ones == 0) & (others == 1)).sum((-2, -1))
    fewer = np.minimum(gained, lost)
    return np.minimum(2 * stats.binom.cdf(fewer, gained + lost, 0.5), 1)


def bootstrap(rng, table, draws=200):
    """The percentile interval of samples of seeds and rows, both with replacement."""
    seeds, rows = table.shape
    chosen = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    weights = rng.multinomial(rows, np.full(rows, 1 / rows), size=draws)
    means = ((chosen @ table) * weights).sum(1) / (seeds * rows)
    return np.quantile(means, [0.025, 0.975])


# --- intervals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_of_shares_cover_the_truth_and_are_not_absurdly_wide(seeds, share):
    rng = np.random.default_rng(seeds)
    for seed_sd, row_sd in MIXES:
        tables = answers(rng, share, (1500, seeds, 200), seed_sd, row_sd)
        low, high = share_interval(spread(tables), 0, 1)

        covered = np.mean((low <= share) & (share <= high))
        assert covered >= 0.93, (seed_sd, row_sd)
        # An oracle knows the variance; who must estimate it from S seeds needs t instead of z.
        oracle = 2 * stats.norm.ppf(0.975) * tables.mean((-2, -1)).std()
        unavoidable = stats.t.ppf(0.975, seeds - 1) / stats.norm.ppf(0.975)
        assert np.mean(high - low) <= 1.25 * unavoidable * oracle, (seed_sd, row_sd)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_of_paired_differences_cover_the_truth(seeds):
    rng = np.random.default_rng(seeds)
    for own_sd in (0.0, 0.1, 0.5):
        one, other = no_effect(rng, 2000, seeds, 150, 2, own_sd)
        low, high = difference_interval(spread(one - other).at_least(1), -1, 1)

        assert np.mean((low <= 0) & (high >= 0)) >= 0.94, own_sd


def test_a_bootstrap_over_three_seeds_covers_far_too_little():
    rng = np.random.default_rng(0)
    tables = answers(rng, 0.5, (300, 3, 200), 0.3, 1.0)

    ends = np.array([bootstrap(rng, table) for table in tables])
    low, high = share_interval(spread(tables), 0, 1)

    assert np.mean((ends[:, 0] <= 0.5) & (ends[:, 1] >= 0.5)) < 0.9
    assert np.mean((low <= 0.5) & (high >= 0.5)) >= 0.93


def test_intervals_lie_within_the_bounds_and_hold_the_mean():
    rng = np.random.default_rng(0)
    for share in (0.001, 0.05, 0.5, 0.95, 0.999):
        found = spread(answers(rng, share, (500, 3, 40), 0.5, 1.0))
        low, high = share_interval(found, 0, 1)

        assert (low >= 0).all()
        assert (high <= 1).all()
        assert ((low <= found.mean + 1e-12) & (found.mean <= high + 1e-12)).all()
        assert (low < high).all()


def test_an_interval_turned_around_is_that_of_the_failures():
    table = answers(np.random.default_rng(0), 0.9, (1, 3, 50), 0.3, 1.0)[0]

    low, high = share_interval(spread(table), 0, 1)
    other_low, other_high = share_interval(spread(1 - table), 0, 1)
    scaled_low, scaled_high = share_interval(spread(5 + 2 * table), 5, 7)

    assert (1 - other_high, 1 - other_low) == pytest.approx((low, high))
    assert ((scaled_low - 5) / 2, (scaled_high - 5) / 2) == pytest.approx((low, high))


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_where_every_row_is_right_the_interval_is_about_as_if_one_were_not(seeds):
    right = np.ones((seeds, 500))
    cell, row = right.copy(), right.copy()
    cell[0, 0] = row[:, 0] = 0

    low, high = share_interval(spread(right), 0, 1)
    nearly = min(float(share_interval(spread(table), 0, 1)[0]) for table in (cell, row))

    assert high == 1
    # Never shorter than what n rows of one model would give (Wilson, with z for t).
    assert low <= 1 - 3.84 / (500 + 3.84)
    assert nearly <= low <= 1 - (1 - nearly) / 2.5


def test_a_spread_is_the_analysis_of_variance():
    table = np.array([[1.0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 1, 0]])
    grand, seeds, rows = table.mean(), table.mean(1), table.mean(0)
    ms_seed = 4 * ((seeds - grand) ** 2).sum() / 2
    ms_row = 3 * ((rows - grand) ** 2).sum() / 3
    rest = table - seeds[:, None] - rows + grand
    ms_rest = (rest**2).sum() / 6

    found = spread(table)

    assert found.seed == pytest.approx(ms_seed / 12)
    assert found.row_alone == pytest.approx(ms_row / 12)
    assert found.row == pytest.approx(max(ms_row - ms_rest, 0) / 12)


def test_without_rows_the_interval_is_students():
    values = np.array([0.2, 0.25, 0.4])

    low, high = difference_interval(spread_of_seeds(values))

    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert (low, high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_equal_seeds_without_rows_have_no_interval(value):
    found = spread_of_seeds(np.full(3, value))

    assert np.isnan(share_interval(found, 0, 1)).all()
    assert np.isnan(difference_interval(found)).all()


# --- tests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_a_true_hypothesis_is_rejected_no_more_often_than_the_level_says(seeds, alpha):
    one, other = no_effect(np.random.default_rng(seeds), 5000, seeds, 100, 2)

    rejected = np.mean(p_value(spread(one - other).at_least(1)) < alpha)

    assert rejected <= alpha + 3 * np.sqrt(alpha / 5000)


def test_the_usual_ways_reject_a_true_hypothesis_far_too_often():
    one, other = no_effect(np.random.default_rng(3), 5000, 3, 100, 2)

    # Three victims taken for one.
    assert np.mean(pooled_mcnemar(one, other) < 0.05) > 0.2
    # The right variance, with a t quantile that is right at 5 % and wrong beyond.
    assert np.mean(satterthwaite(one - other) < 0.005) > 3 * 0.005


def test_the_chance_of_any_false_claim_in_a_family_is_at_most_the_level():
    """Twelve defenses that do nothing, against one undefended victim."""
    rng, families = np.random.default_rng(12), 1000
    none, *defended = no_effect(rng, families, 3, 100, 13)
    tables = np.stack(defended) - none

    def any_claim(p_values):
        return np.mean([(holm(family) < 0.05).any() for family in p_values.T])

    own = p_value(spread(tables.reshape(-1, 3, 100)).at_least(1)).reshape(12, families)
    assert any_claim(own) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / families)
    assert any_claim(satterthwaite(tables)) > 0.1
    assert any_claim(pooled_mcnemar(np.stack(defended), none)) > 0.3


def test_a_real_effect_is_found_and_more_seeds_find_smaller_ones():
    rng = np.random.default_rng(0)

    def power(seeds, share):
        before = answers(rng, 0.95, (300, seeds, 300), 0.1, 1.0)
        after = answers(rng, share, (300, seeds, 300), 0.1, 1.0)
        return np.mean(p_value(spread(after - before).at_least(1)) < 0.05 / 20)

    assert power(3, 0.1) > 0.9
    assert power(3, 0.8) < 0.3
    assert power(5, 0.8) > 0.5
    assert power(10, 0.8) > 0.95


def test_a_p_value_is_where_the_interval_ends_at_zero():
    rng = np.random.default_rng(0)
    found = spread(rng.normal(0.3, 1, (50, 4, 30)))

    p = p_value(found)

    assert found.reach(p) == pytest.approx(np.abs(found.mean), rel=1e-6)
    low, high = difference_interval(found)
    assert ((p < 0.05) == ((low > 0) | (high < 0))).all()


def test_without_rows_the_p_value_is_students():
    values = np.random.default_rng(0).normal(0.5, 1, (20, 6))

    expected = stats.ttest_1samp(values, 0, axis=1).pvalue
    assert p_value(spread_of_seeds(values)) == pytest.approx(expected)


def test_a_defense_that_changes_nothing_is_not_different():
    found = spread(np.zeros((3, 400))).at_least(1)
    low, high = difference_interval(found, -1, 1)

    assert p_value(found) == 1
    assert -0.01 < low < 0 < high < 0.01


def test_a_defense_that_changes_everything_is_different_and_no_less_so_than_nearly():
    everything = np.full((3, 400), -1.0)
    nearly = everything.copy()
    nearly[0, 0] = 0

    p, p_nearly = (p_value(spread(table).at_least(1)) for table in (everything, nearly))

    assert p <= p_nearly < 1e-5


def test_equal_seeds_without_rows_have_no_p_value_unless_they_are_zero():
    assert np.isnan(p_value(spread_of_seeds(np.full(3, 0.2))))
    assert p_value(spread_of_seeds(np.zeros(3))) == 1


def test_a_p_value_has_an_end():
    far = spread(np.random.default_rng(0).normal(1e4, 1e-3, (400, 400)))

    assert p_value(far) == LEAST_P


# --- Holm ---------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p_values):
    """A hypothesis is rejected if every set of hypotheses that holds it is (Marcus et al. 1976)."""
    count = len(p_values)
    expected = [
        max(
            min(1.0, size * min(p_values[place] for place in chosen))
            for size in range(1, count + 1)
            for chosen in itertools.combinations(range(count), size)
            if hypothesis in chosen
        )
        for hypothesis in range(count)
    ]

    assert holm(np.array(p_values)) == pytest.approx(expected)


def test_holm_counts_only_tests_that_were_made():
    corrected = holm(np.array([0.01, np.nan, 0.03]))

    assert corrected[[0, 2]] == pytest.approx([0.02, 0.03])
    assert np.isnan(corrected[1])
    assert holm(np.array([])).size == 0
