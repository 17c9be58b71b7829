"""A tuning budget: the host tries settings of a defense's grid."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import model_validator

from bdbench.api import DefenseConfig, InputError

TUNED = {"clean_rows": 16, "tuning": {"trials": 3}}


def test_a_budget_spreads_its_trials_over_the_grid(plan_toy, cell_of):
    plan = plan_toy(defenses=["toy-tune", "toy-mean"], defender=TUNED)
    tuned = plan.stages[cell_of(plan, defense="toy-tune").stages["treated"]]
    plain = plan.stages[cell_of(plan, defense="toy-mean").stages["treated"]]

    (part,) = tuned.settings["repairs"]
    strengths = [0.1, 0.5, 0.9]
    assert [trial["tried"] for trial in part["trials"]] == [{"strength": s} for s in strengths]
    assert [trial["config"]["strength"] for trial in part["trials"]] == strengths
    assert tuned.settings["tuning"] == {"tolerance": 0.02}
    assert "tuning" not in plain.settings


def test_what_the_suite_sets_is_not_tuned(plan_toy, cell_of):
    plan = plan_toy(defenses=[{"toy-tune": {"strength": 0.4}}], defender=TUNED)

    (part,) = plan.stages[cell_of(plan, defense="toy-tune").stages["treated"]].settings["repairs"]
    assert "trials" not in part


def test_a_budget_changes_the_keys_of_tuned_defenses_only(plan_toy, cell_of):
    defenses = ["toy-tune", "toy-mean"]
    before = plan_toy(defenses=defenses, defender={"clean_rows": 16})
    after = plan_toy(defenses=defenses, defender=TUNED)
    more = plan_toy(defenses=defenses, defender={"clean_rows": 16, "tuning": {"trials": 2}})

    def key(plan, defense):
        return cell_of(plan, defense=defense).stages["treated"]

    assert key(before, "toy-mean") == key(after, "toy-mean")
    assert len({key(plan, "toy-tune") for plan in (before, after, more)}) == 3


class Picky(DefenseConfig):
    """Has more to ask for where it chooses by itself."""

    strength: float | None = None
    tries: int = 5

    @model_validator(mode="after")
    def _agree(self):
        if self.strength is not None and self.tries != 5:
            raise ValueError("tries means nothing with a strength")
        return self

    def needs(self, declared):
        return replace(declared, clean_rows=8 if self.strength is not None else 64)


@pytest.fixture
def picky(toy_host, monkeypatch):
    load = type(toy_host).load_config

    def load_config(host, component):
        name = component.spec.name
        return Picky if name == "toy-tune" else load(host, component)

    monkeypatch.setattr(type(toy_host), "load_config", load_config)


@pytest.mark.usefixtures("picky")
def test_what_is_tried_decides_how_many_rows_are_needed(plan_toy, cell_of):
    def reason(rows):
        tuned = {"clean_rows": rows, "tuning": {"trials": 2}}
        return cell_of(plan_toy(defenses=["toy-tune"], defender=tuned), defense="toy-tune").reason

    assert reason(16) == ""
    assert "needs 8 clean rows; tuning tries" in reason(15)


@pytest.mark.usefixtures("picky")
def test_a_setting_that_cannot_be_tried_with_is_named_beside_the_trial(resolve_toy):
    with pytest.raises(InputError, match="tries means nothing") as caught:
        resolve_toy(defenses=[{"toy-tune": {"tries": 3}}], defender=TUNED)
    assert caught.value.where == "suite.yaml:1: defenses.0, defender.tuning"
    assert caught.value.found.startswith('{"strength": 0.1}: ')
