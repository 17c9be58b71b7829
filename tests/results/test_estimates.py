"""Means, intervals and paired changes from cells whose rows may be in part or not known."""

from __future__ import annotations

import numpy as np
import pytest

from bdbench.results.estimates import Cell, correct, difference, sample
from bdbench.results.rows import CellRows

SHARE = (0, 1)


def cell(values, ids=None, name="asr"):
    values = np.array(values, dtype=float)
    ids = np.arange(len(values)) if ids is None else np.array(ids)
    return Cell({name: float(np.nanmean(values))}, CellRows(ids, {name: values}))


def without_rows(value, name="asr"):
    return Cell({name: value}, None)


def test_a_mean_is_over_the_seeds_and_its_deviation_between_them():
    found = sample({0: cell([1, 1, 0, 1]), 1: cell([1, 0, 0, 1]), 2: cell([1, 1, 1, 1])}, "asr")

    estimate = found.estimate(SHARE)

    assert estimate["mean"] == pytest.approx(0.75)
    assert estimate["sd"] == pytest.approx(0.25)
    assert estimate["seeds"] == 3
    assert 0 <= estimate["low"] < 0.75 < estimate["high"] <= 1


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_few_seeds_there_is_no_interval_and_no_test(seeds):
    cells = dict.fromkeys(range(seeds), cell([1, 0, 1]))
    others = dict.fromkeys(range(seeds), cell([1, 1, 1]))

    estimate = sample(cells, "asr").estimate(SHARE)
    change = difference(cells, "asr", others, "asr").change(SHARE)

    assert (estimate["low"], estimate["high"]) == (None, None)
    assert (change["low"], change["p"]) == (None, None)
    assert estimate["sd"] == (None if seeds == 1 else 0)


def test_more_rows_make_shorter_intervals_and_no_rows_the_longest():
    rates = (0.5, 0.52, 0.48)

    def length(rows):
        cells = {
            seed: cell(np.arange(rows) < rate * rows) if rows else without_rows(rate)
            for seed, rate in enumerate(rates)
        }
        estimate = sample(cells, "asr").estimate(SHARE)
        return estimate["high"] - estimate["low"]

    assert length(0) < length(1000) < length(50)


def test_rows_are_matched_by_their_ids_and_not_by_their_order():
    one = {seed: cell([1, 0, 0], [5, 6, 7]) for seed in range(3)}
    other = {seed: cell([0, 0, 1], [7, 6, 5]) for seed in range(3)}

    found = difference(one, "asr", other, "asr")

    assert (found.table == 0).all()
    assert found.change(SHARE)["p"] == 1


def test_a_row_counts_where_all_seeds_have_it_and_the_mean_is_that_of_the_cells():
    cells = {
        0: cell([1, np.nan, 0, 1]),
        1: cell([1, 1, 0, np.nan]),
        2: cell([0, 1, 0, 1], [0, 1, 2, 9]),
    }

    found = sample(cells, "asr")

    assert found.table.tolist() == [[1, 0], [1, 0], [0, 0]]
    assert found.mean == pytest.approx((2 / 3 + 2 / 3 + 1 / 2) / 3)
    assert found.spread().mean == found.mean


def test_one_cell_without_rows_leaves_the_seeds_alone():
    cells = {0: cell([1, 0]), 1: cell([1, 1]), 2: without_rows(0.5)}

    assert sample(cells, "asr").table is None
    assert sample(cells, "other") is None


def test_differences_are_taken_between_the_same_seeds():
    one = {0: without_rows(0.5), 1: without_rows(0.6), 3: without_rows(0.9)}
    other = {1: without_rows(0.1), 3: without_rows(0.1), 4: without_rows(0.0)}

    assert difference(one, "asr", other, "asr").values == pytest.approx([0.5, 0.8])
    assert difference({0: one[0]}, "asr", other, "asr") is None
    assert difference(one, "asr", {0: Cell({"asr": None}, None)}, "asr") is None


def test_pairing_removes_what_the_rows_have_in_common():
    rng = np.random.default_rng(0)
    hard = rng.random(300) < 0.5
    before = {seed: cell(hard ^ (rng.random(300) < 0.01)) for seed in range(3)}
    after = {seed: cell(hard & (rng.random(300) < 0.9)) for seed in range(3)}

    paired = difference(after, "asr", before, "asr").change(SHARE)
    alone = sample(before, "asr").estimate(SHARE)

    assert paired["high"] - paired["low"] < alone["high"] - alone["low"]
    assert paired["p"] < 0.05


def test_a_value_that_may_be_negative_is_taken_for_a_difference():
    cells = {seed: cell([0] * 400) for seed in range(3)}

    estimate = sample(cells, "asr").estimate((-1, 1))

    assert -0.02 < estimate["low"] < 0 < estimate["high"] < 0.02


def test_a_value_without_bounds_has_the_interval_of_student_or_none():
    varied = {seed: without_rows(seconds) for seed, seconds in enumerate((1.0, 2.0, 4.0))}
    equal = dict.fromkeys(range(3), without_rows(2.0))

    estimate = sample(varied, "asr").estimate((0, None))
    assert (estimate["low"], estimate["high"]) == (0, pytest.approx(7 / 3 + 4.3027 * 0.8819, 1e-3))
    assert sample(equal, "asr").estimate((0, None))["low"] is None
    assert difference(equal, "asr", equal, "asr").change((None, None))["p"] == 1


def test_corrected_changes_say_whether_they_are_significant():
    changes = [{"p": 0.01}, {"p": 0.03}, {"p": None}, {"p": 0.04}]

    correct(changes)

    assert [item["p_holm"] for item in changes] == [
        pytest.approx(0.03), pytest.approx(0.06), None, pytest.approx(0.06),
    ]  # fmt: skip
    assert [item["significant"] for item in changes] == [True, False, False, False]
