"""What becomes of records and leaderboards in MLflow."""

from __future__ import annotations

import json
import math

from bdbench.tracking import publisher as publishing
from bdbench.tracking.publisher import drain


def test_a_cell_becomes_one_run_below_its_victim(home, observer, runs, make_record):
    observer.finished_cell(make_record(defense="merge"))
    observer.finished_cell(make_record(defense="onion"))
    assert drain(home.path) == publishing.Outcome(2, 0)
    (victim,) = runs("victim")
    merge, onion = sorted(runs("cell", complete=True), key=lambda run: run.info.run_name)
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
    home, observer, runs, make_record, put_predictions, tmp_path
):
    record = make_record()
    put_predictions(record)
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
    (again,) = runs("victim", complete=True)
    assert again.info.run_id == victim.info.run_id
    assert again.info.status == "FINISHED"
    assert again.data.metrics == {"cost/victim/wall_seconds": 60.0}


def test_what_never_ran_is_no_run(home, observer, make_record):
    observer.finished_cell(make_record(status="incompatible"))
    observer.finished_cell(make_record(status="skipped"))
    assert drain(home.path) == publishing.Outcome(0, 0)
    assert not home.spool.exists()


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
        (folder / "leaderboard.json").write_text(json.dumps({"rows": [text]}), "utf-8")
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


def test_an_interrupted_run_leaves_the_leaderboard_as_it_is(home, observer, runs):
    folder = home.runs / "run-1"
    folder.mkdir(parents=True)
    for text, status in (("| merge | 0.5 |", "finished"), ("| merge |", "interrupted")):
        (folder / "leaderboard.md").write_text(text, "utf-8")
        (folder / "leaderboard.json").write_text(json.dumps({"rows": [text]}), "utf-8")
        observer.finished(status)
        assert drain(home.path).published == 1
    (run,) = runs("leaderboard")
    assert run.data.tags["mlflow.note.content"] == "| merge | 0.5 |"


def test_a_run_that_came_to_the_same_is_no_news(home, observer):
    said = {"rows": [0.5], "run_id": "run-1", "created": "2026-01-01T00:00:00Z"}
    folder = home.runs / "run-1"
    folder.mkdir(parents=True)
    (folder / "leaderboard.json").write_text(json.dumps(said), "utf-8")
    (folder / "leaderboard.html").write_text(f"<p>of {said['created']}</p>", "utf-8")
    observer.finished("finished")
    assert drain(home.path).published == 1

    later = {**said, "run_id": "run-2", "created": "2026-01-02T00:00:00Z"}
    again = type(observer)("run-2", "quick", home.path)
    folder.rename(home.runs / "run-2")
    (home.runs / "run-2" / "leaderboard.json").write_text(json.dumps(later), "utf-8")
    (home.runs / "run-2" / "leaderboard.html").write_text(f"<p>of {later['created']}</p>", "utf-8")
    again.finished("finished")
    assert drain(home.path).published == 0


def test_a_deleted_experiment_comes_back_with_new_results(home, observer, runs, make_record):
    observer.finished_cell(make_record())
    drain(home.path)
    runs.client.delete_experiment(runs.client.get_experiment_by_name("bdbench/quick").experiment_id)
    observer.finished_cell(make_record(defense="onion"))
    assert drain(home.path).left == 0
    assert len(runs()) == 2
