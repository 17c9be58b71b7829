"""What is shown and not ranked, and why."""

from __future__ import annotations

import pytest

from bdbench.results.gates import NEVER_ATTACKED, judge_attack, why_unranked
from bdbench.suite.schema import Gates

TOOK = {"success": 0.9, "floor": 0.1, "utility": 0.9, "control_utility": 0.92}
PASSED = {"passed": True, "reason": ""}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"success": 0.6}, ""),
        ({"success": 0.599}, "did not take: success 0.599 is less than 0.5 above the floor 0.100"),
        ({"floor": 0.45}, "did not take"),
        ({"utility": 0.87}, ""),
        ({"utility": 0.8699}, "harms the victim: 0.870 is more than 0.05 under the control's"),
        ({"utility": 1.0}, ""),
        ({"success": None}, "no value"),
        ({"floor": None}, "no value"),
        ({"control_utility": None}, "control has no value"),
    ],
)
def test_an_attack_took_if_it_succeeds_and_leaves_the_victim_useful(changes, reason):
    gate = judge_attack(Gates(), **{**TOOK, **changes})

    assert gate["passed"] == (not reason)
    assert reason in gate["reason"]


def test_gates_can_be_set():
    assert not judge_attack(Gates(asr_over_floor=0.9), **TOOK)["passed"]
    assert judge_attack(Gates(asr_over_floor=0.1), **{**TOOK, "success": 0.2})["passed"]
    strict = Gates(accuracy_under_control=0.0)
    assert not judge_attack(strict, **TOOK)["passed"]


@pytest.fixture
def row(make_record):
    def row(statuses=("success",) * 3, **changes):
        return [
            make_record(
                seed=seed,
                status=status,
                metrics={"asr": 0.5} if status == "success" else {},
                **{"isolation": "namespace", **changes},
            )
            for seed, status in enumerate(statuses)
        ]

    return row


@pytest.mark.parametrize(
    ("statuses", "changes", "reason"),
    [
        (["success"] * 3, {}, ""),
        (["success"] * 3, {"isolation": "landlock"}, ""),
        (["success"] * 3, {"selection": "clean_val"}, ""),
        (["success"] * 2, {}, "2 seeds"),
        (["success"], {}, "1 seed"),
        (["success", "failed", "success"], {}, "1 of 3 cells failed"),
        (["success"] * 4 + ["failed"], {}, "1 of 5 cells failed"),
        (["incompatible"] * 3, {}, "3 of 3 cells cannot run"),
        (["success", "success", "skipped"], {}, "1 of 3 cells did not run"),
        (["success"] * 3, {"selection": "oracle"}, "selection: oracle"),
        (["success"] * 3, {"isolation": "process"}, "isolation: process"),
        (["success"] * 3, {"isolation": "none"}, "isolation: none"),
        (["success"], {"isolation": "none"}, "1 seed; isolation: none"),
    ],
)
def test_a_row_is_ranked_only_if_nothing_speaks_against_it(row, statuses, changes, reason):
    assert why_unranked(row(statuses, **changes), PASSED, "asr") == reason


def test_one_weak_cell_is_enough(row, make_record):
    weak = make_record(seed=3, metrics={"asr": 0.5}, isolation="process")

    assert why_unranked([*row(), weak], PASSED, "asr") == "isolation: process"


def test_a_row_without_the_value_that_is_ranked_by_is_not_ranked(row):
    assert (
        why_unranked(row(), PASSED, None) == "3 of 3 cells have no value for the attack's success"
    )


def test_an_attack_that_did_not_take_takes_its_rows_along(row):
    gate = {"passed": False, "reason": "the attack did not take"}

    assert why_unranked(row(), gate, "asr") == "the attack did not take"
    never = {"passed": False, "reason": NEVER_ATTACKED}
    assert why_unranked(row(["failed"] * 3), never, "asr") == NEVER_ATTACKED
