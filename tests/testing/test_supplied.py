"""What a plugin's author supplies is found beside the class, and used."""

from __future__ import annotations

import pytest

from bdbench.api import InputError
from bdbench.testing import Outcome, check_component
from bdbench.testing.running import components_of

HOOKS = """
from bdbench.api import AttackSpec, Surface, hookimpl

@hookimpl
def bdbench_register_attacks():
    return [AttackSpec(
        name="picky",
        target="bdbench_picky.attack:Picky",
        config="bdbench_picky.config:PickyConfig",
        summary="Reads a file.",
        surfaces=frozenset({Surface.WEIGHTS}),
        tasks=frozenset({TASK}),
    )]
"""
CONFIG = """
from pathlib import Path
from pydantic import Field
from bdbench.api import ComponentConfig

class PickyConfig(ComponentConfig):
    words: Path = Field(description="A file.")
"""
ATTACK = """
from bdbench.api import Attack, Tampering

class Picky(Attack):
    def target(self, task):
        return 1

    def apply_trigger(self, examples, task, seeds):
        mark = float(self.config.words.read_text())
        vectors = [vector + mark for vector in examples.inputs["vector"]]
        return examples.with_input("vector", vectors)

    def edit(self, victim, view, seeds):
        module = view.engine.load(victim)
        return Tampering(view.engine.save(module, victim, view.workspace / "model"))
"""
SETTINGS = """
def _settings(world, folder):
    (folder / "words").write_text("3")
    return {"words": folder / "words"}

SETTINGS = {"picky": _settings}
"""
WORLD = """
from dataclasses import replace
from bdbench.testing import World
from bdbench.testing.rows import make_splits
from bdbench.testing.perceptron import TinyPerceptron

def _world(folder):
    splits = make_splits("vector-classification")
    return World(replace(splits, task=replace(splits.task, name="odd")), TinyPerceptron, folder)

WORLDS = {"odd": _world}
"""


@pytest.fixture
def picky(fake_dist):
    def picky(conformance=None, task="vector-classification"):
        modules = {"config": CONFIG, "attack": ATTACK}
        if conformance is not None:
            modules["conformance"] = conformance
        fake_dist("bdbench-picky", HOOKS.replace("TASK", repr(task)), modules=modules)
        (component,) = components_of("bdbench-picky")
        return component

    return picky


def test_without_settings_it_is_said_where_they_go(picky):
    report = check_component(picky())

    assert report.ok
    reasons = {result.check: result.reason for result in report.of(Outcome.SKIPPED)}
    assert (
        "supply some under SETTINGS in bdbench_picky.conformance" in reasons["config_round_trips"]
    )
    assert "words: Field required" in reasons["config_round_trips"]
    assert "same_seed_same_result" in reasons


def test_settings_are_made_for_the_world(picky):
    report = check_component(picky(SETTINGS))

    assert report.ok
    skipped = {result.check for result in report.of(Outcome.SKIPPED)}
    assert skipped == {"runs_for_each_task"}


def test_a_task_of_ones_own_needs_a_world(picky):
    report = check_component(picky(SETTINGS, task="odd"), only=["runs_on_cpu"])

    assert "supply one under WORLDS" in report.results[0].reason


def test_a_world_of_ones_own_is_used_here_and_elsewhere(picky):
    only = ["runs_on_cpu", "survives_subprocess", "tampering_writes_new_model"]
    report = check_component(picky(SETTINGS + WORLD, task="odd"), only=only)

    assert [result.outcome for result in report.results] == [Outcome.PASSED] * 3


def test_settings_that_do_not_fit_fail_one_check(picky):
    report = check_component(picky("SETTINGS = {'picky': {'words': 3}}"))

    assert [result.check for result in report.failed] == ["config_round_trips"]
    assert "mend SETTINGS in bdbench_picky.conformance" in report.failed[0].reason


def test_a_list_in_place_of_a_mapping_is_refused(picky):
    from bdbench.testing.supplied import Supplied

    with pytest.raises(InputError, match="SETTINGS must be a mapping"):
        Supplied(picky("SETTINGS = []").spec).settings()
