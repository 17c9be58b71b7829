"""What has to be computed, given what the store holds, and what became of a cell."""

from __future__ import annotations

import random


def test_nothing_is_missing_where_everything_is_there(plan_toy):
    plan = plan_toy()

    assert plan.missing(set(plan.stages)) == {}


def test_where_only_scores_are_gone_only_scores_are_missing(plan_toy):
    plan = plan_toy(defenses=["toy-mean", "toy-tune", "toy-clip"])
    stored = {key for key, stage in plan.stages.items() if stage.kind != "scores"}

    assert {stage.kind for stage in plan.missing(stored).values()} == {"scores"}


def test_a_loss_behind_stored_scores_is_made_up_for(plan_toy, cell_of):
    """A record tells of the victim, too: what it cost and how it was made."""
    plan = plan_toy()
    victims = {key for key, stage in plan.stages.items() if stage.kind == "victim"}
    stored = set(plan.stages) - victims

    assert set(plan.missing(stored)) == victims
    assert plan.status(cell_of(plan), stored) == "to run"


def test_what_only_cells_rest_on_that_are_not_wanted_is_not_missed(plan_toy, cell_of):
    plan = plan_toy(defenses=["toy-tune"])
    stored = plan.behind(cell_of(plan))
    plan.cells = [cell_of(plan)]

    assert plan.missing(stored) == {}


def test_what_is_missing_reads_only_what_is_missing_too_or_stored(plan_toy, every_defense):
    plan = plan_toy(seeds=[0, 1], defenses=every_defense)
    rng = random.Random(0)
    for _ in range(30):
        stored = set(rng.sample(sorted(plan.stages), rng.randrange(len(plan.stages))))
        missing = plan.missing(stored)

        assert not set(missing) & stored
        for stage in missing.values():
            assert set(stage.reads()) <= stored | set(missing)
        # In an order in which they can be made.
        positions = {key: index for index, key in enumerate(missing)}
        for key, stage in missing.items():
            assert all(positions.get(read, -1) < positions[key] for read in stage.reads())


def test_cells_are_counted_by_status(plan_toy, cell_of):
    plan = plan_toy(defenses=["toy-mean", "toy-base"], defender={"base_weights": False})
    stored = plan.behind(cell_of(plan))

    assert plan.count_cells(stored) == {"cached": 1, "to run": 3, "incompatible": 2}


def test_the_first_failure_behind_a_cell_is_the_cause(plan_toy, cell_of):
    plan = plan_toy()
    cell = cell_of(plan, defense="toy-mean")
    stages = cell.stages

    assert plan.first_failure(cell, set()) is None
    failed = {stages["treated"], stages["scores"]}
    assert plan.first_failure(cell, failed).key == stages["treated"]
    assert plan.first_failure(cell, {*failed, stages["poison"]}).kind == "poison"
    assert plan.first_failure(cell, {cell_of(plan, defense="toy-tune").stages["treated"]}) is None
