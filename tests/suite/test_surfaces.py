"""Attacks on models: published weights, tampered training, edited victims, probed victims."""

from __future__ import annotations

import pytest

SURFACES = ["toy-patch", "toy-published", "toy-trained", "toy-edited", "toy-learned"]


@pytest.fixture
def surfaces(plan_toy, every_defense):
    """The plan of a suite with an attack on each surface."""
    return plan_toy(attacks=SURFACES, defenses=every_defense, metrics=["toy-rates", "toy-shift"])


def test_a_victim_is_trained_by_whom_and_from_what_its_attack_says(surfaces, cell_of):
    def read(attack, role):
        cell = cell_of(surfaces, attack, "none")
        return set(surfaces.stages[cell.stages[role]].inputs)

    assert read("none", "victim") == {"data"}
    assert read("toy-patch", "victim") == {"data", "poison"}
    assert read("toy-published", "victim") == {"data", "pretrained"}
    assert read("toy-trained", "victim") == {"data", "poison"}
    assert read("toy-edited", "victim") == {"data", "base", "victim"}
    assert read("toy-learned", "poison") == {"data", "base"}
    assert read("toy-patch", "poison") == {"data"}


def test_only_an_attacker_who_trains_is_named_to_the_training(surfaces, cell_of):
    def attacker(attack):
        stage = surfaces.stages[cell_of(surfaces, attack, "none").stages["victim"]]
        return stage.settings.get("attack", {}).get("label")

    assert attacker("toy-trained") == "toy-trained"
    assert attacker("toy-patch") is attacker("toy-published") is attacker("none") is None


def test_a_victim_that_is_edited_was_trained_as_the_control_was(surfaces, cell_of):
    edited = cell_of(surfaces, "toy-edited", "none").stages

    assert edited["trained"] == cell_of(surfaces, "none", "none").stages["victim"]
    assert surfaces.stages[edited["victim"]].kind == "edited"


def test_rows_are_triggered_where_they_are_poisoned_unless_the_victim_is_probed(surfaces, cell_of):
    for attack in SURFACES:
        stages = cell_of(surfaces, attack, "none").stages
        probing = attack == "toy-published"
        assert surfaces.stages[stages["triggered"]].kind == ("triggered" if probing else "poison")
        # It poisons no data: there is nothing to be made in that stage.
        assert ("poison" in stages) != probing
        floor = surfaces.stages[stages["floor"]]
        assert floor.inputs["triggered"] == stages["triggered"]
        assert ("undefended_variants" in stages) == (attack == "toy-trained")
        assert ("floor_variants" in stages) == (attack == "toy-trained")


def test_metrics_of_attacks_are_measured_once_for_all_defenses(surfaces, cell_of):
    cells = [cell for cell in surfaces.cells if cell.attack.label == "toy-patch"]

    (key,) = {cell.stages["attack_scores"] for cell in cells}
    assert surfaces.stages[key].settings["metrics"][0]["label"] == "toy-shift"
    for cell in cells:
        scores = surfaces.stages[cell.stages["scores"]]
        assert [part["label"] for part in scores.settings["metrics"]] == ["toy-rates"]
        assert scores.inputs["attack_scores"] == key
    assert "attack_scores" not in cell_of(surfaces, "none").stages


def test_a_filter_starts_where_the_victim_started(surfaces, cell_of):
    treated = cell_of(surfaces, "toy-published", "toy-filter").stages["treated"]

    assert set(surfaces.stages[treated].inputs) == {"data", "victim", "pretrained"}
