"""A tuning budget: the host tries settings of a defense's grid."""

from __future__ import annotations

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
