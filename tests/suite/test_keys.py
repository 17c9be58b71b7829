"""Only what decides about a result is in its key."""

from __future__ import annotations

import pytest

from bdbench.host.digest import code_digest
from bdbench.suite.plan import Wanted


def scores(plan):
    """The identity of every cell's result, by what it is called."""
    return {cell.label: cell.stages.get("scores") for cell in plan.cells}


def kinds(stages):
    return {stage.kind for stage in stages.values()}


# --- what is in no key --------------------------------------------------------------------------

OTHER = {"toy-patch": {"target": 0}, "name": "other"}
ADDED = {
    "defense": ("defenses", [], ["toy-nan", ["toy-mean", "toy-clip"]]),
    "defense in front": ("defenses", ["toy-nan"], []),
    "attack": ("attacks", [], [OTHER]),
    "attack in front": ("attacks", [OTHER], []),
    "seed": ("seeds", [5], []),
    "model": ("models", [], [{"toy-linear": {"hidden": 4}, "name": "small"}]),
    "data set": ("datasets", [], [{"toy-blobs": {"rows": 9}, "name": "few"}]),
}


@pytest.mark.parametrize(("key", "front", "back"), ADDED.values(), ids=ADDED)
def test_adding_something_changes_no_result_that_is_there(plan_toy, toy, key, front, back):
    before, after = scores(plan_toy()), scores(plan_toy(**{key: [*front, *toy[key], *back]}))

    assert len(after) > len(before)
    assert {label: after[label] for label in before} == before


def test_another_order_changes_no_result(plan_toy, toy):
    backwards = plan_toy(defenses=toy["defenses"][::-1], seeds=[1, 0])

    assert scores(backwards) == scores(plan_toy(seeds=[0, 1]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "another"),
        ("summary", "words"),
        ("training", {"epochs": 2}),  # which is the default
        ("defender", {"access": "weights"}),
        ("defender", {"base_weights": True}),
    ],
)
def test_what_decides_nothing_is_in_no_key(plan_toy, toy, key, value):
    changed = {**toy[key], **value} if isinstance(value, dict) else value

    assert scores(plan_toy(**{key: changed})) == scores(plan_toy())


def test_labels_are_in_no_key(plan_toy, toy):
    named = plan_toy(
        datasets=[{"toy-blobs": {}, "name": "d"}],
        models=[{"toy-linear": {}, "name": "m"}],
        attacks=[{**toy["attacks"][0], "name": "a"}],
        defenses=[{"toy-mean": {}, "name": "x"}],
        metrics=[{"toy-rates": {}, "name": "q"}],
    )
    plain = plan_toy(defenses=["toy-mean"])

    assert list(scores(named).values()) == list(scores(plain).values())
    assert set(named.stages) == set(plain.stages)


def test_full_names_and_short_names_give_the_same_keys(plan_toy):
    full = plan_toy(models=["bdbench-toy/toy-linear"], defenses=["bdbench-toy/toy-mean"])

    assert scores(full) == scores(plan_toy(defenses=["toy-mean"]))


def test_settings_written_out_and_defaults_give_the_same_keys(plan_toy):
    written = plan_toy(attacks=[{"toy-patch": {"poison_rate": 0.2, "coordinate": 0}}])

    assert scores(written) == scores(plan_toy())


def test_auto_precision_is_what_it_stands_for(plan_toy, monkeypatch):
    monkeypatch.setattr("bdbench.suite.resolve.precision_of", lambda _: "fp32")

    assert scores(plan_toy(training={"precision": "auto"})) == scores(plan_toy())


def test_filters_keep_keys(plan_toy, cell_of, two_attacks):
    whole = plan_toy(seeds=[0, 1], attacks=two_attacks)
    part = plan_toy(
        Wanted(attacks={"other"}, defenses={"toy-mean"}, seeds={1}),
        seeds=[0, 1],
        attacks=two_attacks,
    )

    found = [(cell.attack.label, cell.defense.label, cell.seed) for cell in part.cells]
    assert found == [("none", "none", 1), ("other", "none", 1), ("other", "toy-mean", 1)]
    for cell, place in zip(part.cells, found, strict=True):
        assert cell.stages == cell_of(whole, *place).stages
    assert set(part.stages) < set(whole.stages)


# --- what is in a key ---------------------------------------------------------------------------

CHANGED = {
    "attack": ({"attacks": [{"toy-patch": {"poison_rate": 0.3}}]}, {"toy-patch"}),
    "model": ({"models": [{"toy-linear": {"hidden": 4}}]}, {"none", "toy-patch"}),
    "data": ({"datasets": [{"toy-blobs": {"rows": 200}}]}, {"none", "toy-patch"}),
    "limit": ({"limit": 100}, {"none", "toy-patch"}),
    "recipe": ({"training": {"precision": "fp32", "epochs": 3}}, {"none", "toy-patch"}),
    "precision": ({"training": {"precision": "bf16"}}, {"none", "toy-patch"}),
}


@pytest.mark.parametrize(("change", "attacks"), CHANGED.values(), ids=CHANGED)
def test_a_change_of_what_decides_is_another_key(plan_toy, cell_of, change, attacks):
    before, after = plan_toy(), plan_toy(**change)

    for cell in before.cells:
        same = cell_of(after, cell.attack.label, cell.defense.label).stages
        assert (same["victim"] != cell.stages["victim"]) == (cell.attack.label in attacks)
        assert (same["scores"] != cell.stages["scores"]) == (cell.attack.label in attacks)


def test_a_setting_of_one_defense_changes_that_one_only(plan_toy, toy):
    before = plan_toy()
    after = plan_toy(defenses=[{"toy-mean": {"strength": 2.0}}, *toy["defenses"][1:]])

    changed = {
        cell.defense.label
        for cell in before.cells
        if scores(after)[cell.label] != cell.stages["scores"]
    }
    assert changed == {"toy-mean"}


def test_the_order_in_a_composition_decides(plan_toy, cell_of):
    plan = plan_toy(defenses=[["toy-mean", "toy-tune"], ["toy-tune", "toy-mean"]])
    one, other = (
        cell_of(plan, defense="toy-mean+toy-tune"),
        cell_of(plan, defense="toy-tune+toy-mean"),
    )

    assert one.stages["treated"] != other.stages["treated"]


def test_the_number_of_clean_rows_counts_for_those_that_are_given_any(plan_toy, toy):
    before = plan_toy()
    after = plan_toy(defender={**toy["defender"], "clean_rows": 20})

    for cell in before.cells:
        same = scores(after)[cell.label] == cell.stages["scores"]
        assert same == (cell.defense.label != "toy-tune")


def test_the_reference_models_count_for_those_that_are_given_any(plan_toy, toy):
    before = plan_toy()
    after = plan_toy(defender={**toy["defender"], "references": ["control", "control"]})

    for cell in before.cells:
        same = scores(after)[cell.label] == cell.stages["scores"]
        assert same == (cell.defense.label != "toy-mean")


# --- code ---------------------------------------------------------------------------------------


def other_code_of(name):
    def digest(component):
        return "other" if component.spec.name == name else code_digest(component)

    return digest


def test_another_metric_recomputes_scores_only(plan_toy, monkeypatch):
    stored = set(plan_toy().stages)
    monkeypatch.setattr("bdbench.suite.resolve.code_digest", other_code_of("toy-rates"))
    missing = plan_toy().missing(stored)

    assert kinds(missing) == {"scores"}


def test_other_code_of_a_defense_recomputes_what_it_does_only(plan_toy, monkeypatch):
    stored = set(plan_toy().stages)
    monkeypatch.setattr("bdbench.suite.resolve.code_digest", other_code_of("toy-mean"))
    missing = plan_toy().missing(stored)

    assert kinds(missing) == {"treated", "predictions", "scores"}
    assert all("toy-mean" in stage.label for stage in missing.values())
