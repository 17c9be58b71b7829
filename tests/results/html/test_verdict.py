"""The sentences say what the numbers are, and no more."""

from __future__ import annotations

import pytest

from bdbench.results.render.html.places import places
from bdbench.results.render.html.verdict import findings


def said(comparison):
    (place,) = places(comparison)
    found = {}
    for lead, sentence in findings(comparison, place):
        found.setdefault(lead, []).append(sentence.striptags())
    return found


def test_the_best_rank_names_those_it_is_not_separated_from(comparison):
    (text,) = said(comparison)["Best mean rank"]

    assert text == (
        "merge with 1.33 over 3 attacks. The critical difference does not separate it from "
        "fine-mixing, fine-pruning and onion. Doing nothing (none) has 5.50."
    )


def test_a_tie_for_the_best_rank_names_both(comparison):
    entries = comparison["rankings"][0]["defenses"]
    entries[1]["mean_rank"] = entries[0]["mean_rank"]

    assert said(comparison)["Best mean rank"][0].startswith("merge and fine-mixing with 1.33")


def test_the_smallest_worst_case_is_the_least_of_the_largest(comparison):
    entries = comparison["rankings"][0]["defenses"]
    entries[2]["worst_attack"] = {"attack": "sos", "value": 0.05}

    assert said(comparison)["Smallest worst case"] == [
        "fine-pruning: ASR at most 0.050, under sos."
    ]


def test_changes_that_may_be_chance_are_named(comparison):
    assert said(comparison)["No significant change of the ASR"] == [
        "onion (under insertsent and sos); fine-tuning (under every attack)."
    ]


def test_a_large_change_that_may_be_chance_is_not_called_none(comparison):
    for row in comparison["rows"]:
        if row["defense"] == "onion" and row["attack"] == "sos":
            row["changes"]["attack"]["mean"] = -0.911

    (text,) = said(comparison)["No significant change of the ASR"]
    assert text.endswith(
        "That is not the same as no effect: 3 seeds cannot tell even onion (under sos) from "
        "chance, a change of \N{MINUS SIGN}0.911."
    )


def test_lost_accuracy_counts_only_downwards_and_under_attacks_that_took(comparison):
    for row in comparison["rows"]:
        if row["defense"] == "merge" and row["changes"]["utility"]:
            row["changes"]["utility"] |= {"significant": True, "mean": 0.05}

    assert said(comparison)["Significant loss of clean accuracy"] == [
        "fine-pruning (under badnets, insertsent and sos)."
    ]


def test_what_is_not_ranked_has_its_reason(comparison):
    for row in comparison["rows"]:
        if row["defense"] == "onion" and not row["control"]:
            row |= {"ranked": False, "unranked_because": "isolation: none"}
    ranking = comparison["rankings"][0]
    ranking["defenses"] = [e for e in ranking["defenses"] if e["defense"] != "onion"]

    assert said(comparison)["Not ranked"] == [
        "onion: isolation: none (badnets, insertsent and sos)."
    ]
    assert said(comparison)["Attack left out of the ranks"] == [
        "lws: clean accuracy 6.6 points under the control."
    ]


@pytest.mark.parametrize(("p", "told"), [(0.049, False), (0.05, True), (None, False)])
def test_ranks_that_may_be_chance_are_called_so(comparison, p, told):
    comparison["rankings"][0]["friedman"]["p"] = p

    assert ("No clear order" in said(comparison)) is told


def test_nothing_ranked_says_why(make):
    assert said(make(seeds=(0,)))["No ranking"] == [
        "Nothing could be ranked here: 1 seed and attack did not take."
    ]
