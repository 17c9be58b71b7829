from __future__ import annotations

import json
import math
import time

import pytest

from bdbench.store.objects import Store
from bdbench.tracking import publisher as publishing
from bdbench.tracking.destination import resolve_destination
from bdbench.tracking.publisher import Publisher, drain
from bdbench.tracking.spool import Spool, key_of

COMPLETE = " and tags.`bdbench.complete` = 'true'"
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


def put_predictions(home, record):
    def make(folder):
        (folder / "predictions.parquet").write_bytes(b"PAR1")
        return {"notes": {}}

    Store(home.store).ensure("predictions", record["stages"]["predictions_clean"], make)


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


def test_a_cell_becomes_one_run_below_its_victim(home, observer, runs, make_record):
    observer.finished_cell(make_record(defense="merge"))
    observer.finished_cell(make_record(defense="onion"))
    assert drain(home.path) == publishing.Outcome(2, 0)
    (victim,) = runs("victim")
    merge, onion = sorted(runs("cell", where=COMPLETE), key=lambda run: run.info.run_name)
    assert victim.info.run_name == "badnets seed 0"
    assert merge.info.run_name == "badnets · merge seed 0"
    assert {run.data.tags["mlflow.parentRunId"] for run in (merge, onion)} == {victim.info.run_id}
    assert merge.info.status == victim.info.status == "FINISHED"
    assert merge.info.end_time - merge.info.start_time == 2000
    assert victim.info.end_time - victim.info.start_time == 60_000
    assert merge.data.metrics == {
        "clean_accuracy": 0.91,
        "asr": 0.25,
        "cost/victim/wall_seconds": 60.0,
        "cost/treated/wall_seconds": 2.0,
        "cost/treated/gradient_steps": 7.0,
    }
    expected = {
        "seed": "0",
        "attack": "badnets",
        "attack.poison_rate": "0.1",
        "attack.triggers": '["cf", "mn"]',
        "dataset.train": "a.parquet",
        "defense": "merge",
        "defense.merge.rho": "0.3",
        "model.path": "minilm",
        "training.epochs": "2",
    }
    assert expected.items() <= merge.data.params.items()
    tags = {
        "bdbench.suite": "quick",
        "bdbench.cell_id": make_record()["cell_id"],
        "bdbench.dataset": "sst2",
        "bdbench.model": "minilm",
        "bdbench.attack": "badnets",
        "bdbench.defense": "merge",
        "bdbench.seed": "0",
        "bdbench.status": "success",
        "bdbench.isolation": "namespaces",
        "bdbench.selection": "fixed",
        "bdbench.run_id": "run-1",
        "bdbench.component.defense": "bdbench-merge/merge 0.1.0 r1",
    }
    assert tags.items() <= merge.data.tags.items()
    inputs = {
        (entry.dataset.name, entry.dataset.digest)
        for entry in runs.client.get_run(merge.info.run_id).inputs.dataset_inputs
    }
    stages = make_record()["stages"]
    assert inputs == {("sst2", stages["data"][:12]), ("sst2 + badnets", stages["poison"][:12])}


def test_artifacts_hold_record_environment_lock_and_predictions(
    home, observer, runs, make_record, tmp_path
):
    record = make_record()
    put_predictions(home, record)
    observer.finished_cell(record)
    drain(home.path)
    (run,) = runs()
    folder = runs.client.download_artifacts(run.info.run_id, "", str(tmp_path))
    names = {path.relative_to(folder).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        "record.json",
        "environment.json",
        "requirements.txt",
        "predictions/clean/predictions.parquet",
    } <= names
    assert json.loads((tmp_path / "record.json").read_text("utf-8")) == record
    assert json.loads((tmp_path / "environment.json").read_text("utf-8")) == {"torch": "2.13.0"}
    assert "\npluggy==" in (tmp_path / "requirements.txt").read_text("utf-8")


def test_rows_of_a_data_set_come_from_what_its_stage_noted(home, observer, runs, make_record):
    notes = {"rows": {"train": 100, "test": 20}}
    observer.finished_cell(make_record(notes={"data": notes, "poison": {"ids": "x" * 10_000}}))
    drain(home.path)
    (run,) = runs()
    inputs = runs.client.get_run(run.info.run_id).inputs.dataset_inputs
    data = {entry.dataset.name: entry.dataset for entry in inputs}
    assert json.loads(data["sst2"].profile) == notes
    assert not data["sst2 + badnets"].profile
    assert json.loads(data["sst2"].source)["config"] == {"train": "a.parquet"}


def test_killed_after_any_write_everything_is_there_once(
    home, observer, kill_after, runs, make_record
):
    """A failure was published; its success is interrupted at every single write in turn."""
    seen = set()
    put_predictions(home, make_record())
    for writes in range(1, 30):
        observer.finished_cell(make_record(suite=f"suite-{writes}", status="failed", costs={}))
    assert drain(home.path).left == 0
    for writes in range(1, 30):
        suite = f"suite-{writes}"
        observer.finished_cell(make_record(suite=suite))
        killed = kill_after(writes)
        seen.add(killed)
        assert drain(home.path).left == 0
        (victim,) = runs("victim", suite, COMPLETE)
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
        (cell,) = runs("cell", f"new-{writes}", COMPLETE)
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
    (victim,) = runs("victim", where=COMPLETE)
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


def test_failure_then_success_then_nothing_new(home, observer, runs, make_record):
    observer.finished_cell(make_record(status="failed"))
    drain(home.path)
    (failed,) = runs()
    assert failed.info.status == "FAILED"
    assert "NaN in the classifier" in failed.data.tags["mlflow.note.content"]
    observer.finished_cell(make_record())
    assert drain(home.path).published == 1
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert "mlflow.note.content" not in run.data.tags
    assert run.data.metrics["asr"] == 0.25
    assert len(runs(view=2)) == 1  # the failure is deleted, and can be restored
    observer.finished_cell(make_record())
    assert drain(home.path).published == 0


def test_a_victim_that_failed_stays_open_until_it_is_trained(home, observer, runs, make_record):
    observer.finished_cell(make_record(status="failed", costs={}))
    drain(home.path)
    (victim,) = runs("victim")
    assert victim.info.status == "FAILED"
    assert "bdbench.complete" not in victim.data.tags
    moved = {**make_record()["dataset"], "config": {"train": "elsewhere.parquet"}}
    observer.finished_cell(make_record(defense="onion", dataset=moved))
    assert drain(home.path).left == 0
    (again,) = runs("victim", where=COMPLETE)
    assert again.info.run_id == victim.info.run_id
    assert again.info.status == "FINISHED"
    assert again.data.metrics == {"cost/victim/wall_seconds": 60.0}


def test_what_never_ran_is_no_run(home, observer, make_record):
    observer.finished_cell(make_record(status="incompatible"))
    observer.finished_cell(make_record(status="skipped"))
    assert drain(home.path) == publishing.Outcome(0, 0)
    assert not home.spool.exists()


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


def test_foreign_text_is_only_text(home, observer, runs, make_record):
    evil = "x' or 1=1 --`\"</script>\n\x00\x1b[31m\u202e\ud800" + "y" * 10_000
    names = ["../../etc", "a//b", "", ".", "%s", "asr@1", "asr#1", "m" * 400, evil]
    part = make_record()["attack"]
    settings = {"a b": evil, "a%b": 1, "a#b": 2, evil: ""}
    hostile = {
        "suite": evil,
        "cell_id": evil,
        "attack": {**part, "label": evil, "config": settings},
        "defense_label": evil,
        "defense": [{**part, "component": evil}, {**part, "component": evil}],
        "needs": evil,
        "isolation": evil,
        "metrics": {
            **dict.fromkeys(names, 0.5),
            "nan": math.nan,
            "inf": math.inf,
            "huge": 10**400,
            "truth": True,
        },
        "stages": {"victim": evil, "data": evil, "predictions_clean": "../../../etc"},
    }
    observer.finished_cell({**make_record(), **hostile})
    assert drain(home.path) == publishing.Outcome(1, 0)
    client = runs.client
    (experiment,) = client.search_experiments(filter_string="name LIKE 'bdbench/%'")
    found = client.search_runs([experiment.experiment_id])
    (run,) = [run for run in found if run.data.tags["bdbench.kind"] == "cell"]
    assert len(found) == 2
    measured = {name: v for name, v in run.data.metrics.items() if not name.startswith("cost/")}
    assert list(measured.values()) == [0.5] * len(names)
    assert run.data.tags["bdbench.left_out"] == "nan, inf, huge, truth"
    assert max(map(len, run.data.params.values())) == 500
    assert {"1", "2"} <= set(run.data.params.values())
    assert "\n" not in run.info.run_name
    assert len(run.info.run_name) < 200


def test_more_settings_than_fit_are_counted(home, observer, runs, make_record):
    part = make_record()["attack"]
    many = {**part, "config": {f"setting {number}": number for number in range(1000)}}
    observer.finished_cell({**make_record(), "attack": many})
    assert drain(home.path).left == 0
    (run,) = runs()
    assert len(run.data.params) == 400
    assert run.data.params["left_out"].endswith("more settings; see record.json")


def test_the_leaderboard_stands_in_one_run_that_is_renewed(home, observer, runs, tmp_path):
    folder = home.runs / "run-1"
    folder.mkdir(parents=True)
    for text in ("| merge | 0.5 |", "| merge | 0.4 |"):
        (folder / "leaderboard.md").write_text(text, "utf-8")
        (folder / "leaderboard.json").write_text("{}", "utf-8")
        observer.finished("finished")
        assert drain(home.path).published == 1
        (run,) = runs("leaderboard")
        assert run.info.run_name == "leaderboard"
        assert run.data.tags["mlflow.note.content"] == text
        assert run.data.tags["bdbench.page"] == "leaderboard.md"
        listed = {entry.path for entry in runs.client.list_artifacts(run.info.run_id)}
        assert listed == {"leaderboard.md", "leaderboard.json"}
        path = runs.client.download_artifacts(run.info.run_id, "leaderboard.md", str(tmp_path))
        assert tmp_path.joinpath(path).read_text("utf-8") == text
    assert len(runs("leaderboard", view=3)) == 1


def test_a_deleted_experiment_comes_back_with_new_results(home, observer, runs, make_record):
    observer.finished_cell(make_record())
    drain(home.path)
    runs.client.delete_experiment(runs.client.get_experiment_by_name("bdbench/quick").experiment_id)
    observer.finished_cell(make_record(defense="onion"))
    assert drain(home.path).left == 0
    assert len(runs()) == 2


def test_a_server_that_is_down_loses_nothing(home, observer, runs, make_record, monkeypatch):
    uri = "http://me:secret@127.0.0.1:1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    there = type(observer)("run-1", "quick", home.path)
    for seed in range(5):
        there.finished_cell(make_record(seed=seed))
    import mlflow  # noqa: F401 -- its import is not what is timed

    began = time.monotonic()
    outcome = drain(home.path)
    assert time.monotonic() - began < 20
    assert (outcome.published, outcome.left) == (0, 5)
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
