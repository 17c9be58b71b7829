"""A defense is given what it declares, the same as every other, and nothing of the attacker's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from bdbench.api import (
    Access,
    Checkpoint,
    DefenderView,
    Defense,
    Needs,
    NotGrantedError,
    Repair,
    SeedStream,
)

MODEL = "model.safetensors"


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


class Copy(Defense):
    """Writes the victim as it is, and notes what it was given."""

    def repair(self, victim, view):
        folder = view.workspace / "model"
        folder.mkdir()
        safetensors.torch.save_file(
            self.change(safetensors.torch.load_file(victim.folder / MODEL)), folder / MODEL
        )
        return Repair(Checkpoint(folder), self.notes(victim, view))

    def change(self, weights):
        return weights

    def notes(self, victim, view):
        return {}


# --- the view -----------------------------------------------------------------------------------

ASKS = {
    "clean_rows=1": lambda view: view.clean_rows,
    "references=1": lambda view: view.references,
    "base_weights=True": lambda view: view.base,
    "training_data=True": lambda view: view.training_rows,
    "access=Access.OUTPUTS": lambda view: view.predict(None),
}
EVERYTHING = Needs(
    access=Access.WEIGHTS, clean_rows=1, references=1, base_weights=True, training_data=True
)


def view_with(needs, rows):
    """All that there is, of which a view passes on what was declared."""
    return DefenderView(
        defense="d",
        needs=needs,
        task=None,
        seeds=SeedStream(0),
        workspace=Path(),
        engine=None,
        clean_rows=rows(4),
        references=[Checkpoint(Path("r"))],
        base=Checkpoint(Path("b")),
        training_rows=rows(4),
        predict=lambda rows: {},
    )


@pytest.mark.parametrize(("need", "ask"), ASKS.items(), ids=ASKS)
def test_what_was_not_declared_is_refused_and_the_need_named(rows, need, ask):
    with pytest.raises(NotGrantedError) as caught:
        ask(view_with(Needs(), rows))

    assert caught.value.where == "d"
    assert f"Needs({need})" in caught.value.expected
    assert caught.value.next == f"declare Needs({need}) in the plugin's hooks.py"


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_what_was_declared_is_given(rows, ask):
    assert ask(view_with(EVERYTHING, rows)) is not None


@pytest.mark.parametrize("need", ASKS)
def test_each_need_opens_one_door(rows, need):
    name, _, value = need.partition("=")
    declared = Needs(**{name: Access.OUTPUTS if name == "access" else json.loads(value.lower())})
    opened = set()
    for other, ask in ASKS.items():
        try:
            ask(view_with(declared, rows))
        except NotGrantedError:
            continue
        opened.add(other)

    assert opened == {need}


def test_a_view_has_no_field_for_what_the_attacker_knows(rows):
    view = view_with(EVERYTHING, rows)
    names = {name for name in dir(view) if not name.startswith("_")}

    assert names == {
        *("task", "seeds", "workspace", "engine"),
        *("clean_rows", "references", "base", "training_rows", "predict"),
    }


# --- repairs ------------------------------------------------------------------------------------


def test_a_repair_is_kept_with_its_notes(bench, attacked):
    class Halve(Copy):
        def change(self, weights):
            return {name: tensor / 2 for name, tensor in weights.items()}

        def notes(self, victim, view):
            return {"halved": True}

    key = attacked.repair(Halve)

    before, after = bench.weights(attacked.victim), bench.weights(key)
    assert same({name: tensor / 2 for name, tensor in before.items()}, after)
    assert list(bench.notes(key).values()) == [{"halved": True}]


def test_a_victim_is_as_it_was_after_a_repair(bench, attacked):
    before = bench.weights(attacked.victim)
    attacked.repair(Copy)

    assert same(before, bench.weights(attacked.victim))


def test_a_model_with_folders_in_it_can_be_repaired_further(bench, attacked):
    class Nested(Copy):
        def repair(self, victim, view):
            done = super().repair(victim, view)
            (done.checkpoint.folder / "more").mkdir()
            (done.checkpoint.folder / "more" / "about.json").write_text("{}", "utf-8")
            return done

    class Look(Copy):
        def notes(self, victim, view):
            return {"more": (victim.folder / "more" / "about.json").read_text("utf-8")}

    parts = [bench.defense(found, "repair", access=Access.WEIGHTS) for found in (Nested, Look)]
    key = bench.treated(repairs=parts, data=attacked.data, victim=attacked.victim)
    assert bench.notes(key)[parts[1]["label"]]["more"] == "{}"


def test_repairs_act_one_after_the_other(bench, attacked):
    class AddOne(Copy):
        def change(self, weights):
            return {name: tensor + 1 for name, tensor in weights.items()}

    class Double(Copy):
        def change(self, weights):
            return {name: tensor * 2 for name, tensor in weights.items()}

    parts = [bench.defense(found, "repair") for found in (AddOne, Double)]
    key = bench.treated(repairs=parts, data=attacked.data, victim=attacked.victim)

    before, after = bench.weights(attacked.victim), bench.weights(key)
    assert same({name: (tensor + 1) * 2 for name, tensor in before.items()}, after)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(attacked, refused, value):
    class Break(Copy):
        def change(self, weights):
            weights["2.bias"][1] = value
            return weights

    error = refused(attacked.repair, Break)

    assert error["type"] == "NonFiniteError"
    assert "2.bias" in error["where"]


def test_the_victims_own_folder_is_no_repair(attacked, refused):
    class Lazy(Defense):
        def repair(self, victim, view):
            return Repair(victim)

    error = refused(attacked.repair, Lazy)

    assert (error["what"], error["found"]) == (
        "a repair must write a new model",
        "the folder 'model'",
    )


def test_a_folder_without_weights_is_no_repair(attacked, refused):
    class Empty(Defense):
        def repair(self, victim, view):
            return Repair(Checkpoint(view.workspace))

    assert refused(attacked.repair, Empty)["what"] == "a repair must write a new model"


def test_asking_for_more_than_was_declared_ends_the_defense(attacked, refused):
    class Peek(Copy):
        def notes(self, victim, view):
            return {"rows": len(view.training_rows)}

    error = refused(attacked.repair, Peek, inputs={"poison": attacked.poison})

    assert error["type"] == "NotGrantedError"
    assert "training_data=True" in error["next"]


# --- clean rows ---------------------------------------------------------------------------------


class NoteCleanRows(Copy):
    def notes(self, victim, view):
        return {"ids": list(view.clean_rows.ids), "labels": list(view.clean_rows.labels)}


class NoteThemToo(NoteCleanRows):
    """Another defense."""


@pytest.fixture
def clean_rows(bench, attacked):
    """What a defense is given as clean rows."""

    def given(count, found=NoteCleanRows, seed=0):
        part = bench.defense(found, "repair", clean_rows=1)
        key = bench.treated(
            repairs=[part], clean_rows=count, seed=seed, data=attacked.data, victim=attacked.victim
        )
        return bench.notes(key)[part["label"]]

    return given


def test_every_defense_of_a_seed_is_given_the_same_clean_rows(clean_rows):
    assert clean_rows(12) == clean_rows(12, NoteThemToo)
    assert clean_rows(12) != clean_rows(12, seed=1)


def test_a_smaller_budget_is_the_beginning_of_a_larger_one(clean_rows):
    every = clean_rows(20)["ids"]

    for count in range(1, 20):
        assert clean_rows(count)["ids"] == every[:count]


def test_clean_rows_are_balanced_labelled_and_from_the_clean_pool(clean_rows):
    given = clean_rows(8)

    assert sorted(given["labels"]) == [0] * 4 + [1] * 4
    assert all(2000 <= row < 2020 for row in given["ids"])
    assert given["labels"] == [row % 2 for row in given["ids"]]


def test_more_clean_rows_than_there_are_is_an_error_that_names_the_number(clean_rows, refused):
    error = refused(clean_rows, 21)

    assert error["where"] == "defender.clean_rows"
    assert error["next"] == "set defender.clean_rows to at most 20"


# --- other tasks --------------------------------------------------------------------------------


def test_a_defense_for_another_task_is_refused(bench, attacked, refused):
    from bdbench.api import DefenseSpec, DefenseStage

    part = bench.part(
        DefenseSpec,
        Copy,
        stages=frozenset({DefenseStage.REPAIR}),
        needs=Needs(access=Access.WEIGHTS),
        tasks=frozenset({"image-classification"}),
    )
    error = refused(bench.treated, repairs=[part], data=attacked.data, victim=attacked.victim)

    assert error["what"] == "the defense does not work for this task"
