"""Ranks, Friedman's test and Nemenyi's distance, against what was published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.results.estimates import Cell
from bdbench.results.ranking import (
    cliques,
    critical_difference,
    friedman,
    mean_ranks,
    pareto_front,
    rank_defenses,
)
from bdbench.results.rows import CellRows

DEMSAR = np.array(
    [
        [4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1],
        [1, 2.5, 4, 2.5], [3, 2, 4, 1], [2.5, 2.5, 4, 1], [4, 3, 2, 1],
        [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5], [3, 2, 4, 1], [4, 1, 2, 3], [3, 1, 4, 2],
    ]
)  # fmt: skip
"""The ranks of four classifiers on 14 data sets (Demsar 2006, table 6)."""


def test_mean_ranks_are_those_of_demsars_example():
    assert mean_ranks(DEMSAR) == pytest.approx([3.143, 2.0, 2.893, 1.964], abs=5e-4)


def test_friedmans_statistic_is_that_of_demsars_example_corrected_for_ties():
    plain = 12 * 14 / (4 * 5) * ((mean_ranks(DEMSAR) ** 2).sum() - 4 * 5**2 / 4)
    assert plain == pytest.approx(9.28, abs=5e-3)

    # Three pairs and one set of four share ranks.
    ties = 1 - (3 * (2**3 - 2) + (4**3 - 4)) / (14 * 4 * (4**2 - 1))
    assert friedman(DEMSAR)["statistic"] == pytest.approx(plain / ties)
    assert friedman(DEMSAR)["p"] == pytest.approx(0.0167, abs=5e-4)


def test_the_critical_difference_is_that_of_demsars_example():
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


@pytest.mark.parametrize(
    ("treatments", "q"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)],
)
def test_critical_values_are_those_of_demsars_table(treatments, q):
    blocks = 7
    distance = q * np.sqrt(treatments * (treatments + 1) / (6 * blocks))
    assert critical_difference(treatments, blocks) == pytest.approx(distance, rel=3e-4)


def test_there_is_no_test_where_all_are_alike():
    assert friedman(np.full((4, 3), 0.1 + 0.2)) is None
    assert friedman(np.array([[0.3, 0.1 + 0.2, 0.3]] * 4)) is None


def test_cliques_are_the_largest_groups_within_the_distance():
    ranked = [("a", 1.0), ("b", 1.5), ("c", 2.4), ("d", 2.5), ("e", 5.0)]

    assert cliques(ranked, 1.2) == [["a", "b"], ["b", "c", "d"]]
    assert cliques(ranked, 0.05) == []
    # A difference that equals the distance is one that can be told.
    assert cliques([("a", 1.0), ("b", 2.0)], 1.0) == []
    assert cliques(ranked, 9) == [["a", "b", "c", "d", "e"]]


@given(st.lists(st.floats(1, 6), min_size=1, max_size=8), st.floats(0.01, 6))
def test_no_clique_lies_within_another_and_each_pair_within_the_distance_is_in_one(ranks, distance):
    ranked = [(str(place), rank) for place, rank in enumerate(sorted(ranks))]
    groups = [set(group) for group in cliques(ranked, distance)]

    assert not any(one < other for one in groups for other in groups)
    for one, rank in ranked:
        for other, further in ranked:
            if one != other and rank <= further:
                together = any({one, other} <= group for group in groups)
                assert together == (further - rank < distance)


def test_the_front_is_what_nothing_beats():
    points = [(0.1, -0.05), (0.1, -0.01), (0.5, 0.0), (0.6, 0.0), (1.0, 0.01), (0.1, -0.01)]

    assert pareto_front(points) == [False, True, True, False, True, True]
    assert pareto_front([]) == []


# --- the whole ----------------------------------------------------------------------------------


def cells(*by_seed):
    """Cells of 50 rows with these rates of success, evenly spread."""
    found = {}
    for seed, rate in enumerate(by_seed):
        hits = (np.arange(50) < round(50 * rate)).astype(float)
        found[seed] = Cell({"asr": rate}, CellRows(np.arange(50), {"asr": hits}))
    return found


@pytest.fixture
def ranked():
    rates = {
        ("badnets", "none"): (1.0, 1.0, 1.0), ("badnets", "good"): (0.1, 0.1, 0.12),
        ("badnets", "same"): (0.1, 0.1, 0.12), ("lws", "none"): (0.96, 0.98, 1.0),
        ("lws", "good"): (0.1, 0.12, 0.1), ("lws", "same"): (0.3, 0.32, 0.3),
    }  # fmt: skip
    costs = {place: -0.01 if place[1] == "good" else 0.0 for place in rates}
    costs["lws", "same"] = None
    found = {place: cells(*values) for place, values in rates.items()}
    return rank_defenses(found, ["badnets", "lws"], costs, "asr", (0, 1))


def test_defenses_are_ordered_by_mean_rank_and_ties_share_one(ranked):
    assert [(item["defense"], item["mean_rank"]) for item in ranked["defenses"]] == [
        ("good", 1.25),
        ("same", 1.75),
        ("none", 3.0),
    ]


def test_the_worst_case_is_the_attack_that_comes_through_most(ranked):
    good, same, none = ranked["defenses"]

    assert same["worst_attack"] == {"attack": "lws", "value": pytest.approx(0.92 / 3)}
    assert none["worst_attack"] == {"attack": "badnets", "value": 1.0}
    assert good["mean_attack"] == pytest.approx((0.32 + 0.32) / 6)


def test_wins_and_losses_are_counted_from_paired_tests(ranked):
    by_name = {
        item["defense"]: (item["wins"], item["ties"], item["losses"]) for item in ranked["defenses"]
    }

    # Equal on badnets; on lws the same rows tell `good` from `same`.
    assert by_name == {"good": (3, 1, 0), "same": (2, 1, 1), "none": (0, 0, 4)}


def test_a_cost_that_is_not_known_for_every_attack_is_not_known(ranked):
    costs = {item["defense"]: item["utility_change"] for item in ranked["defenses"]}

    assert costs == {"good": pytest.approx(-0.01), "same": None, "none": 0.0}


def test_few_attacks_are_called_few(ranked):
    assert ranked["friedman"] is not None
    assert "rough" in ranked["note"]


def test_two_defenses_are_ranked_without_friedmans_test():
    places = {("a", "none"): cells(1, 1, 1), ("a", "good"): cells(0, 0, 0)}
    found = rank_defenses(places, ["a"], dict.fromkeys(places, 0.0), "asr", (0, 1))

    assert [item["defense"] for item in found["defenses"]] == ["good", "none"]
    assert (found["friedman"], found["critical_difference"], found["cliques"]) == (None, None, [])
    assert "needs 3 defenses and 2 attacks" in found["note"]
