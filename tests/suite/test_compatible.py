"""What cannot run is a cell with a reason, which names the setting or the component."""

from __future__ import annotations

import pytest

WITHHELD = {
    "references": ("toy-mean", {"references": []}, "defender.references"),
    "clean rows": ("toy-tune", {"clean_rows": 7}, "defender.clean_rows"),
    "base weights": ("toy-base", {"base_weights": False}, "defender.base_weights"),
    "training data": ("toy-filter", {"training_data": False}, "defender.training_data"),
    "access": ("toy-peek", {"access": "gradients"}, "defender.access"),
}


@pytest.mark.parametrize(("defense", "grant", "setting"), WITHHELD.values(), ids=WITHHELD)
def test_a_grant_that_is_withheld_makes_cells_incompatible_and_is_named(
    plan_toy, cell_of, toy, defense, grant, setting
):
    plan = plan_toy(defenses=[defense], defender={**toy["defender"], **grant})

    for attack in ("none", "toy-patch"):
        assert cell_of(plan, attack).reason == ""
        cell = cell_of(plan, attack, defense)
        assert setting in cell.reason
        assert cell.stages == {}
        assert plan.status(cell, set()) == "incompatible"
    assert cell_of(plan_toy(defenses=[defense]), defense=defense).reason == ""


def test_exactly_what_is_needed_is_enough(plan_toy, cell_of):
    plan = plan_toy(defenses=["toy-tune"], defender={"clean_rows": 8})

    assert cell_of(plan, defense="toy-tune").reason == ""


def test_a_limit_leaves_defenders_fewer_clean_rows(plan_toy, cell_of):
    defender = {"clean_rows": 64}
    limited = plan_toy(defenses=["toy-tune"], defender=defender, limit=30)
    granted = limited.stages[cell_of(limited, defense="toy-tune").stages["treated"]].settings

    assert granted["clean_rows"] == 30
    few = cell_of(plan_toy(defenses=["toy-tune"], defender=defender, limit=7), defense="toy-tune")
    assert few.reason == "needs 8 clean rows, the suite grants 7 (limit)"


def test_tuning_tries_on_half_of_the_clean_rows_which_must_be_enough(plan_toy, cell_of):
    def reason(rows):
        tuned = {"clean_rows": rows, "tuning": {"trials": 2}}
        return cell_of(plan_toy(defenses=["toy-tune"], defender=tuned), defense="toy-tune").reason

    assert "defender.tuning" in reason(15)
    assert reason(16) == ""


def test_a_composition_needs_what_its_parts_need(plan_toy, cell_of):
    plan = plan_toy(defenses=[["toy-clip", "toy-tune"]], defender={"clean_rows": 0})

    assert "defender.clean_rows" in cell_of(plan, defense="toy-clip+toy-tune").reason


def test_components_for_another_task_are_incompatible(plan_toy, cell_of):
    plan = plan_toy(datasets=["sms-spam"], models=["tiny-bert"], defenses=["toy-clip"])

    assert cell_of(plan, "none").reason == ""
    for attack, defense, culprit in [
        ("toy-patch", "none", "toy-patch"),
        ("none", "toy-clip", "toy-clip"),
    ]:
        assert cell_of(plan, attack, defense).reason == (
            f"{culprit} works for vector-classification, sms-spam is text-classification"
        )


# --- reference models ---------------------------------------------------------------------------


def test_other_is_the_first_attack_that_is_not_the_cells(plan_toy, cell_of, two_attacks):
    plan = plan_toy(attacks=two_attacks, defenses=["toy-mean"], defender={"references": ["other"]})

    def poison_behind_the_reference(attack):
        treated = plan.stages[cell_of(plan, attack, "toy-mean").stages["treated"]]
        (reference,) = treated.inputs["references"]
        return plan.stages[reference].inputs["poison"]

    assert poison_behind_the_reference("toy-patch") == cell_of(plan, "other").stages["poison"]
    assert poison_behind_the_reference("other") == cell_of(plan).stages["poison"]
    assert poison_behind_the_reference("none") == cell_of(plan).stages["poison"]


@pytest.mark.parametrize("references", [["other"], ["control", "other"]])
def test_other_is_nothing_for_anybody_where_there_is_one_attack(plan_toy, references):
    plan = plan_toy(defenses=["toy-mean"], defender={"references": references})

    granted = {len(plan.resolved.references_for(attack)) for attack in plan.resolved.attacks}
    # A defense that counts them must not learn whether its model was attacked.
    assert granted == {len(references) - 1}


def test_a_reference_attack_is_its_own_though_it_has_the_name_of_another(plan_toy, cell_of):
    reference = {"toy-patch": {"target": 0}}
    plan = plan_toy(defenses=["toy-mean"], defender={"references": [reference]})

    treated = plan.stages[cell_of(plan, defense="toy-mean").stages["treated"]]
    (key,) = treated.inputs["references"]
    poison = plan.stages[plan.stages[key].inputs["poison"]]
    assert poison.settings["attack"]["config"]["target"] == 0
    assert poison.key != cell_of(plan).stages["poison"]
