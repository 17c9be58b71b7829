"""Progress keeps count, also of what turns out to be damaged and is computed anew."""

from __future__ import annotations

import pytest

from bdbench.api import StageEvent
from bdbench.cli.progress import make_progress
from bdbench.suite.load import load_suite
from bdbench.suite.planning import build_plan
from bdbench.suite.resolve import resolve


@pytest.fixture
def plan(toy, toy_host):
    return build_plan(resolve(load_suite(str(toy), toy_host), toy_host))


@pytest.fixture
def again(plan):
    """A stage that was in the store, and is made all the same."""
    stage = next(stage for stage in plan.stages.values() if stage.kind == "victim")
    return [
        StageEvent(stage.kind, stage.key, "started", stage.label),
        StageEvent(stage.kind, stage.key, "finished", stage.label, 1.0),
    ]


def test_lines_count_what_is_computed_anew(plan, again, capsys):
    with make_progress(plan, set(plan.stages), "plain") as progress:
        for event in again:
            progress.on_stage(event)

    first, line = capsys.readouterr().err.splitlines()
    assert first == "28 cells, 0 stages to run"
    assert line.startswith("[1/1] victim ")


def test_sums_count_what_is_computed_anew(plan, again, capsys):
    with make_progress(plan, set(plan.stages), "live") as progress:
        for event in again:
            progress.on_stage(event)

    said = capsys.readouterr().err
    assert "1/1 stages" in said
    assert "victim" in said
