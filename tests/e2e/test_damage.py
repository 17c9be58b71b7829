"""What is lost or damaged in the store is computed again, however far behind a result it lies."""

import json
import shutil
from pathlib import Path

import pytest

from bdbench.api import BdbenchError
from bdbench.home import Home
from bdbench.results.runs import latest_run, read_records
from bdbench.store.objects import Store

SUITE = Path(__file__).parents[1] / "toy" / "suite.yaml"
OPTIONS = ("--seeds", "0", "--executor", "inline", "--defense", "none")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with the undefended cells of the toy suite."""
    return tmp_path_factory.mktemp("made") / "home"


@pytest.fixture
def run_here(bdbench_here, tmp_path, made):
    """Runs the suite in a copy of that home: (code, stderr, records), or what it would do."""
    call = ("run", SUITE, *OPTIONS)
    if not made.exists():
        code, _, said = bdbench_here(*call, "--home", made, "--display", "none")
        assert code == 0, said
    home = tmp_path / "home"
    shutil.copytree(made, home)

    def run_here(*more):
        code, out, said = bdbench_here(*call, "--home", home, "--display", "plain", *more)
        return code, said, json.loads(out) if more else read_records(latest_run(Home(home)))

    return run_here


@pytest.fixture
def store(tmp_path):
    return Store(Home(tmp_path / "home").store)


@pytest.fixture
def stages(run_here):
    """The keys of the attacked cell, by role."""
    _, _, records = run_here()
    return {record.attack.label: record for record in records}["toy-patch"].stages


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damage_that_shows_at_the_end_of_a_run_is_mended_by_the_next(run_here, store, stages):
    flip(store.files(stages["predictions_clean"]) / "predictions.parquet")

    code, said, _ = run_here()
    assert code == 0
    assert "0 stages to run" in said
    assert not store.contains(stages["predictions_clean"])

    code, said, records = run_here()
    assert code == 0
    assert "1 stages to run" in said
    assert {record.status for record in records} == {"success"}
    assert store.contains(stages["predictions_clean"])


def test_a_victim_that_somebody_removed_is_trained_again(run_here, store, stages):
    before = store.open(stages["victim"]).meta
    shutil.rmtree(store.path(stages["victim"]))

    _, _, plan = run_here("--plan", "--json")
    assert plan["stages_to_run"] == {"victim": 1}
    assert [cell["status"] for cell in plan["cells"]] == ["cached", "to run"]

    code, said, records = run_here()
    assert code == 0, said
    assert {record.status for record in records} == {"success"}
    assert store.open(stages["victim"]).meta["notes"] == before["notes"]


def test_a_damaged_manifest_costs_a_stage_and_no_run(run_here, store, stages):
    (store.path(stages["victim"]) / "manifest.json").write_text("{", "utf-8")

    code, said, records = run_here()

    assert code == 0, said
    assert {record.status for record in records} == {"success"}


def test_what_cannot_be_made_again_fails_its_cell_and_no_other(
    run_here, store, stages, monkeypatch
):
    from bdbench.engine import stages as engine

    def fail(*_):
        raise OSError("no room")

    shutil.rmtree(store.path(stages["victim"]))
    monkeypatch.setitem(engine.MAKERS, "victim", fail)

    code, _, records = run_here()

    assert code == 1
    assert [record.status for record in records] == ["success", "failed"]
    assert "no room" in records[1].reason


# --- executors that fail -----------------------------------------------------------------------


def test_what_was_finished_before_an_executor_failed_is_in_a_run(
    bdbench_here, tmp_path, monkeypatch
):
    from bdbench.execution.local import InlineExecutor

    submit = InlineExecutor.submit

    def fail(self, task):
        # The control needs no triggered rows, and has its scores by then.
        if task.kind == "scores" and "toy-patch" in task.label:
            raise BdbenchError("the process from which all workers are forked is gone")
        submit(self, task)

    monkeypatch.setattr(InlineExecutor, "submit", fail)
    home = tmp_path / "home"
    call = ("run", SUITE, "--home", home, "--display", "none", *OPTIONS)
    code, _, said = bdbench_here(*call)

    assert code == 1
    assert "all workers are forked is gone" in said
    folder = latest_run(Home(home))
    assert {record.attack.label: record.status for record in read_records(folder)} == {
        "none": "success",
        "toy-patch": "skipped",
    }
    assert json.loads((folder / "run.json").read_text("utf-8"))["status"] == "interrupted"

    # Nothing was computed this time: there is nothing to tell.
    assert bdbench_here(*call)[0] == 1
    assert latest_run(Home(home)) == folder


@pytest.mark.parametrize("end", [KeyboardInterrupt, BdbenchError("the parent is gone")])
def test_why_a_cell_failed_is_told_although_the_run_was_ended_later(
    bdbench_here, tmp_path, monkeypatch, end
):
    from bdbench.engine import stages as engine
    from bdbench.execution.local import InlineExecutor

    def fail(*_):
        raise OSError("no room")

    submit = InlineExecutor.submit

    def stop(self, task):
        # The control's victim comes first and is well; the attacked one has failed by then.
        if task.kind == "scores":
            raise end
        submit(self, task)

    monkeypatch.setitem(engine.MAKERS, "poison", fail)
    monkeypatch.setattr(InlineExecutor, "submit", stop)
    home = tmp_path / "home"
    bdbench_here("run", SUITE, "--home", home, "--display", "none", *OPTIONS)

    said = {record.attack.label: record for record in read_records(latest_run(Home(home)))}
    assert said["none"].status == "skipped"
    assert said["toy-patch"].status == "failed"
    assert "no room" in said["toy-patch"].reason


# --- suites that measure no cell ----------------------------------------------------------------


def test_a_suite_may_measure_attacks_only(bdbench_here, tmp_path):
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE.read_text("utf-8").replace("toy-rates", "toy-shift"), "utf-8")
    home = tmp_path / "home"

    code, _, said = bdbench_here("run", suite, "--home", home, "--display", "none", *OPTIONS)

    assert code == 0, said
    records = {record.attack.label: record for record in read_records(latest_run(Home(home)))}
    assert records["none"].isolation == "namespace"  # nothing had to be kept apart
    assert records["toy-patch"].isolation == "none"  # an inline executor has no walls
