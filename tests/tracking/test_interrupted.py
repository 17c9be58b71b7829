"""Whatever cuts publishing short, everything is there once in the end."""

from __future__ import annotations

import json

import pytest

from bdbench.tracking import publisher as publishing
from bdbench.tracking.destination import resolve_destination
from bdbench.tracking.publisher import Publisher, drain
from bdbench.tracking.spool import Spool, key_of
from bdbench.tracking.tracker import Tracker

WRITES = {
    "create_experiment",
    "set_experiment_tag",
    "create_run",
    "log_batch",
    "log_inputs",
    "log_text",
    "log_artifact",
    "set_terminated",
    "set_tag",
    "delete_run",
}


class Killed(BaseException):
    """Stands for a kill: nothing in the code under test catches it."""


class Interrupting:
    """An MLflow client that is killed after its n-th write."""

    def __init__(self, client, writes):
        self.client = client
        self.left = writes

    def __getattr__(self, name):
        method = getattr(self.client, name)
        if name not in WRITES:
            return method

        def write(*arguments, **named):
            result = method(*arguments, **named)
            self.left -= 1
            if self.left == 0:
                raise Killed(name)
            return result

        return write


@pytest.fixture
def kill_after(home):
    """Publishes until the n-th write; tells which it was, or None if it came to the end."""

    def kill(writes):
        publisher = Publisher(home, resolve_destination(home))
        tracker = publisher._tracker
        tracker.__dict__["_client"] = Interrupting(tracker._client, writes)
        try:
            publisher.follow(lambda _: True)
        except Killed as killed:
            return str(killed)
        return None

    return kill


def test_killed_after_any_write_everything_is_there_once(
    home, observer, kill_after, runs, make_record, put_predictions
):
    """A failure was published; its success is interrupted at every single write in turn."""
    seen = set()
    put_predictions(make_record())
    for writes in range(1, 30):
        observer.finished_cell(make_record(suite=f"suite-{writes}", status="failed", costs={}))
    assert drain(home.path).left == 0
    for writes in range(1, 30):
        suite = f"suite-{writes}"
        observer.finished_cell(make_record(suite=suite))
        killed = kill_after(writes)
        seen.add(killed)
        assert drain(home.path).left == 0
        (victim,) = runs("victim", suite, complete=True)
        (cell,) = runs("cell", suite)
        assert cell.data.tags["bdbench.status"] == "success"
        assert cell.data.tags["bdbench.complete"] == "true"
        assert cell.data.tags["mlflow.parentRunId"] == victim.info.run_id
        assert len(runs("victim", suite)) == 1
        assert (cell.info.status, victim.info.status) == ("FINISHED", "FINISHED")
        for run in (cell, victim):
            for name in run.data.metrics:
                assert len(runs.client.get_metric_history(run.info.run_id, name)) == 1
        inputs = runs.client.get_run(cell.info.run_id).inputs.dataset_inputs
        assert len(inputs) == 2
        listed = {entry.path for entry in runs.client.list_artifacts(cell.info.run_id)}
        assert listed == {"record.json", "environment.json", "requirements.txt", "predictions"}
        if killed is None:
            break
    assert seen == {None, *WRITES} - {"create_experiment", "set_experiment_tag"}


def test_killed_while_an_experiment_is_new(home, observer, kill_after, runs, make_record):
    for writes in (1, 2, 3, 4):
        observer.finished_cell(make_record(suite=f"new-{writes}"))
        assert kill_after(writes) in {"create_experiment", "set_experiment_tag"}
        assert drain(home.path).left == 0
        (cell,) = runs("cell", f"new-{writes}", complete=True)
        tags = runs.client.get_experiment(cell.info.experiment_id).tags
        assert "mlflow.sharedViewState.bdbench" in tags


def test_a_victim_cut_short_is_completed_by_another_cell(
    home, observer, kill_after, runs, make_record
):
    observer.finished_cell(make_record())
    assert "log_batch" in [kill_after(1) for _ in range(6)]
    assert not runs("cell")
    for path in Spool(home, resolve_destination(home)).pending():
        path.unlink()
    observer.finished_cell(make_record(defense="onion", costs={"victim": {"wall_seconds": 60.0}}))
    assert drain(home.path).left == 0
    (victim,) = runs("victim", complete=True)
    history = runs.client.get_metric_history(victim.info.run_id, "cost/victim/wall_seconds")
    assert [point.value for point in history] == [60.0]


def test_published_again_after_its_marks_are_lost_it_is_still_one(
    home, observer, runs, make_record
):
    observer.finished_cell(make_record())
    drain(home.path)
    before = {run.info.run_id for run in runs("cell") + runs("victim")}
    for mark in (home.spool / "published").rglob("*.json"):
        mark.unlink()
    observer.finished_cell(make_record())
    assert drain(home.path).published == 1
    assert {run.info.run_id for run in runs("cell") + runs("victim")} == before


def test_a_run_created_twice_is_reduced_to_one(home, observer, runs, make_record):
    """As when an answer is lost and the client asks again."""
    observer.finished_cell(make_record())
    client = runs.client
    key = key_of("cell", "quick", make_record()["cell_id"])
    (path,) = Spool(home, resolve_destination(home)).pending()
    digest = json.loads(path.read_text("utf-8"))["digest"]
    experiment = client.create_experiment("bdbench/quick")
    tags = {"bdbench.key": key, "bdbench.digest": digest, "bdbench.kind": "cell"}
    doubled = {client.create_run(experiment, tags=tags).info.run_id for _ in range(2)}
    drain(home.path)
    (run,) = runs()
    assert run.info.run_id in doubled
    assert run.data.tags["bdbench.complete"] == "true"


def test_a_server_that_is_down_loses_nothing(home, observer, runs, make_record, monkeypatch):
    uri = "http://me:secret@127.0.0.1:1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    there = type(observer)("run-1", "quick", home.path)
    for seed in range(5):
        there.finished_cell(make_record(seed=seed))
    tried = []
    publish = Tracker.publish

    def count(self, item):
        tried.append(item.key)
        return publish(self, item)

    monkeypatch.setattr(Tracker, "publish", count)
    outcome = drain(home.path)
    assert (outcome.published, outcome.left) == (0, 5)
    # Each try costs the client's patience: after a few in vain the rest is not tried.
    assert len(tried) == publishing.FAILURES_IN_A_ROW * publishing.FRUITLESS_ROUNDS
    assert outcome.error
    assert "secret" not in outcome.error
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert drain(home.path) == publishing.Outcome(0, 0)  # meant for the server, not for here
    assert len(Spool(home, resolve_destination(home, {"MLFLOW_TRACKING_URI": uri})).pending()) == 5


def test_items_that_cannot_be_published_do_not_hold_up_the_rest(
    home, observer, runs, make_record, monkeypatch
):
    monkeypatch.setattr(publishing, "FAILURES_IN_A_ROW", 2)
    for seed in range(3):
        observer.finished_cell(make_record(seed=seed, environment=None, costs=None))
    for seed in range(3, 5):
        observer.finished_cell(make_record(seed=seed))
    outcome = drain(home.path)
    assert (outcome.published, outcome.left) == (2, 3)
    assert {run.data.params["seed"] for run in runs()} == {"3", "4"}


def test_one_publisher_at_a_time(home, observer, publisher, make_record, monkeypatch):
    monkeypatch.setattr(publishing, "PATIENCE_SECONDS", 0.5)
    observer.finished_cell(make_record())
    assert publisher._has_turn()
    assert drain(home.path) == publishing.Outcome(0, 1)
    publisher._lock.release()
    assert drain(home.path) == publishing.Outcome(1, 0)
