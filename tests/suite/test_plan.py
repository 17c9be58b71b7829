"""A plan is fair: it has every cell, and what cells have in common is one stage."""

from __future__ import annotations

import pytest

from bdbench.suite.plan import Wanted

# --- the matrix ---------------------------------------------------------------------------------


def test_every_defense_meets_every_attack_for_every_seed(plan_toy):
    plan = plan_toy(seeds=[0, 3], defenses=["toy-mean", "toy-clip"])

    found = [(cell.attack.label, cell.defense.label, cell.seed) for cell in plan.cells]
    assert sorted(found) == sorted(
        (attack, defense, seed)
        for attack in ("none", "toy-patch")
        for defense in ("none", "toy-mean", "toy-clip")
        for seed in (0, 3)
    )


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Wanted(), 24),
        (Wanted(attacks={"none"}), 12),
        (Wanted(defenses={"none", "toy-clip"}), 8),
        # What was asked for is judged by the undefended victims.
        (Wanted(defenses={"toy-clip"}), 8),
        (Wanted(attacks={"toy-patch"}), 14),
        (Wanted(attacks={"toy-patch"}, defenses={"toy-clip"}), 6),
        (Wanted(seeds={1}), 12),
        (Wanted(datasets={"toy-blobs"}, models={"toy-linear"}), 24),
        (Wanted(datasets=set()), 0),
        (Wanted(models={"other"}), 0),
    ],
)
def test_filters_pick_cells(plan_toy, selection, count):
    assert len(plan_toy(selection, seeds=[0, 1]).cells) == count


def test_every_stage_comes_after_all_that_it_reads(plan_toy, two_attacks, every_defense):
    plan = plan_toy(
        seeds=[0, 1],
        attacks=two_attacks,
        defenses=every_defense,
        defender={"clean_rows": 16, "references": ["other", "control"], "training_data": True},
    )

    seen = set()
    for key, stage in plan.stages.items():
        assert set(stage.reads()) <= seen
        assert stage.key == key
        seen.add(key)
    assert {key for cell in plan.cells for key in cell.stages.values()} <= seen


def test_a_plan_holds_nothing_that_no_cell_reads(plan_toy, every_defense):
    plan = plan_toy(defenses=every_defense)

    assert plan.missing(set()) == plan.stages


# --- one victim ---------------------------------------------------------------------------------


def test_every_defense_of_an_attack_is_given_the_same_victim(plan_toy, two_attacks, every_defense):
    plan = plan_toy(seeds=[0, 1], attacks=two_attacks, defenses=every_defense)

    victims = {}
    for cell in plan.cells:
        victims.setdefault((cell.attack.label, cell.seed), set()).add(cell.stages["victim"])
    assert all(len(keys) == 1 for keys in victims.values())
    # And each attack and seed has a victim of its own.
    assert len(set().union(*victims.values())) == len(victims) == 6


def test_the_victims_of_one_seed_share_their_randomness(plan_toy, two_attacks):
    plan = plan_toy(attacks=two_attacks)

    streams = {tuple(plan.stages[cell.stages["victim"]].settings["seeds"]) for cell in plan.cells}
    assert streams == {(0, "victim")}


def test_reference_models_are_the_same_for_all_and_have_randomness_of_their_own(plan_toy, cell_of):
    plan = plan_toy(
        defenses=["toy-mean", ["toy-mean", "toy-clip"]], defender={"references": ["control"] * 2}
    )

    cells = [cell_of(plan, defense=label) for label in ("toy-mean", "toy-mean+toy-clip")]
    one, other = (plan.stages[cell.stages["treated"]].inputs["references"] for cell in cells)
    assert one == other
    assert len({*one, cells[0].stages["victim"], cell_of(plan, "none").stages["victim"]}) == 4
    assert [plan.stages[key].settings["seeds"][1:] for key in one] == [
        ["reference", "0"],
        ["reference", "1"],
    ]


def test_floor_and_control_are_there_for_every_attack(plan_toy, cell_of, two_attacks):
    plan = plan_toy(attacks=two_attacks)
    control = cell_of(plan, "none").stages["victim"]

    for cell in plan.cells:
        stage = plan.stages[cell.stages["scores"]]
        clean = plan.stages[stage.inputs["control_clean"]]
        assert clean.inputs["model"] == control
        assert "triggered" not in clean.inputs
        if cell.attack.is_control:
            assert "floor" not in stage.inputs
        else:
            floor = plan.stages[stage.inputs["floor"]]
            assert floor.inputs["model"] == control
            assert floor.inputs["triggered"] == cell.stages["poison"]
            assert floor.settings["screens"] == []


def test_a_cell_without_attack_has_no_poison(plan_toy, every_defense):
    plan = plan_toy(defenses=every_defense)

    for cell in plan.cells:
        if cell.attack.is_control:
            roles = {"poison", "predictions_triggered", "undefended_triggered", "floor"}
            assert not roles & set(cell.stages)
            reads = {key for role in cell.stages.values() for key in plan.stages[role].reads()}
            assert "poison" not in {plan.stages[key].kind for key in reads}


def test_scores_read_what_the_victim_says_undefended(plan_toy, cell_of, every_defense):
    cell = cell_of(plan := plan_toy(defenses=every_defense), defense="toy-mean+toy-clip")
    inputs = plan.stages[cell.stages["scores"]].inputs

    for role in ("undefended_clean", "undefended_triggered"):
        assert plan.stages[inputs[role]].inputs["model"] == cell.stages["victim"]
        assert plan.stages[inputs[role]].settings["screens"] == []
    assert inputs["undefended_clean"] == cell_of(plan).stages["predictions_clean"]


def test_no_stage_of_a_defense_reads_what_the_attacker_knows(plan_toy, every_defense):
    plan = plan_toy(defenses=every_defense)

    for stage in plan.stages.values():
        if stage.kind == "treated":
            assert "triggered" not in stage.inputs
            assert "attack" not in stage.settings


def test_a_screen_leaves_the_model_as_it_is(plan_toy, cell_of):
    cell = cell_of(plan_toy(), defense="toy-clip")

    assert cell.stages["treated"] == cell.stages["victim"]


def test_screens_that_look_at_no_model_act_once_for_all_victims(plan_toy, two_attacks):
    plan = plan_toy(
        attacks=two_attacks, defenses=["toy-clip", ["toy-mean", "toy-clip"], "toy-mean"]
    )
    keys = {}
    for cell in plan.cells:
        for role in ("screened_clean", "screened_triggered"):
            if role in cell.stages:
                keys.setdefault((role, cell.attack.label), set()).add(cell.stages[role])

    assert sorted(keys) == [
        ("screened_clean", "none"),
        ("screened_clean", "other"),
        ("screened_clean", "toy-patch"),
        ("screened_triggered", "other"),
        ("screened_triggered", "toy-patch"),
    ]
    assert all(len(found) == 1 for found in keys.values())
    made = {}
    for (role, _), found in keys.items():
        made.setdefault(role, set()).update(found)
    # Clean rows are the same under every attack, triggered rows are not.
    assert {role: len(found) for role, found in made.items()} == {
        "screened_clean": 1,
        "screened_triggered": 2,
    }
