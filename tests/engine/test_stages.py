"""A stage ends in the store or as an error that names its cause; it never ends the run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bdbench.api import Dataset, DatasetSpec, InputError
from bdbench.engine import stages
from bdbench.engine.boxed import answer
from bdbench.engine.context import StageResult
from bdbench.host.configure import configure
from bdbench.host.digest import code_digest
from bdbench.suite.identity import component_identity


class Given(Dataset):
    def load(self):
        raise NotImplementedError


@pytest.fixture
def ending(bench, refused):
    """The error of a stage whose component ends in some way."""

    def ending(load):
        part = bench.part(DatasetSpec, type("Ends", (Given,), {"load": load}))
        error = refused(bench.run, "data", {"dataset": part, "limit": None})
        assert bench.store.keys() == set()
        return error

    return ending


def raising(error):
    def load(self):
        raise error

    return load


def test_an_error_on_purpose_arrives_as_it_was_raised(ending):
    error = InputError("a", where="b", found="c", expected="d", next="e")

    found = ending(raising(error))

    assert {key: found[key] for key in error.to_dict()} == error.to_dict()


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SystemExit(0), MemoryError()])
def test_any_other_ending_is_a_crash_with_its_traceback(ending, error):
    found = ending(raising(error))

    assert found["type"] == "Crash"
    assert type(error).__name__ in found["what"]
    assert "in load" in found["traceback"]
    assert "--debug" in found["next"]


def test_a_missing_input_is_an_error(bench, refused):
    error = refused(
        bench.run, "predictions", bench.training() | {"screens": []}, data="0" * 64, model="0" * 64
    )

    assert error["type"] == "CorruptObjectError"


def test_an_unknown_component_is_an_error(bench, refused):
    part = {"kind": "dataset", "label": "x", "component": "gone", "config": {}}

    assert refused(bench.run, "data", {"dataset": part, "limit": None})["type"] == "PluginError"


def test_a_component_that_is_not_what_was_planned_is_refused(bench, refused):
    """Its result would be kept, and used for ever, under the name of what was planned."""
    host = bench.host()
    component = host.find("dataset", "toy-blobs")
    config = configure(host, component, {}, where="x")
    code = code_digest(component)
    identity = component_identity(component.full_name, 1, code, config, where="x")
    part = {"kind": "dataset", "label": "x", "component": "toy-blobs", "config": {}}

    bench.run("data", {"dataset": {**part, "identity": identity}, "limit": None})
    changed = {"dataset": {**part, "identity": "0" * 64}, "limit": None}
    error = refused(bench.run, "data", changed)

    assert error["what"] == "a component was changed after the run had been planned"
    assert error["where"] == "x"


@pytest.mark.parametrize(
    "notes", [{"x": float("nan")}, {"x": float("inf")}, {"x": np.zeros(2)}, {"x": {1, 2}}]
)
def test_notes_that_are_not_plain_data_are_refused(bench, splits, refused, monkeypatch, notes):
    monkeypatch.setitem(stages.MAKERS, "data", lambda stage: StageResult(notes=notes))

    error = refused(bench.data, splits())

    assert error["what"] == "the notes of a component are not plain data"


def test_what_a_stage_cost_and_where_it_ran_stand_beside_its_result(bench, splits):
    meta = bench.store.meta(bench.victim(bench.data(splits())))

    assert meta["cost"]["gradient_steps"] == 2 * 5
    assert meta["cost"]["forward_rows"] == 2 * 40
    assert meta["cost"]["wall_seconds"] > 0
    assert meta["cost"]["peak_memory_mib"] > 10
    assert meta["environment"]["threads"] == "1"
    assert {"python", "torch", "device", "processor", "bdbench"} <= set(meta["environment"])


def test_what_was_scratch_is_not_kept(bench, splits):
    folder = bench.folder(bench.victim(bench.data(splits())))

    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]
    assert list((bench.store.root / "tmp").iterdir()) == []


def test_equal_stages_leave_equal_bytes(bench, splits):
    data = bench.data(splits())
    one, other = (bench.folder(bench.victim(data)) / "model.safetensors" for _ in range(2))

    assert one != other
    assert one.read_bytes() == other.read_bytes()


def test_a_base_is_where_its_victim_started(bench, splits):
    data = bench.data(splits())
    settings = bench.training(epochs=1, learning_rate=1e-30, weight_decay=0.0)
    base = bench.run("base", bench.training(), (0, "victim"), data=data)
    victim = bench.run("victim", settings, (0, "victim"), data=data)

    def read(key):
        return (bench.folder(key) / "model.safetensors").read_bytes()

    # At a learning rate of next to nothing, training leaves the start as it was.
    assert read(base) == read(victim)
    assert read(base) != read(bench.run("base", bench.training(), (1, "victim"), data=data))


# --- which part of a stage it was ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "where"),
    [
        (ValueError("boom"), "wag, repair"),
        (InputError("there are no rows to train on"), "wag, repair"),
        (InputError("there are no rows to train on", where="train"), "train"),
    ],
)
def test_an_error_of_a_component_says_whose_it_is(raised, where):
    def repair(boxed):
        raise raised

    boxed = SimpleNamespace(settings={"part": {"label": "wag"}})
    found = answer(boxed, {"do": "repair", "with": {}}, {"repair": repair})

    assert found["error"]["where"] == where
