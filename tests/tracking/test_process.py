"""With real publisher processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil
import pytest

from bdbench.api import CellEvent, PlanBuilt, RunEvent
from bdbench.tracking import hooks, observer
from bdbench.tracking.destination import resolve_destination
from bdbench.tracking.spool import Spool


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def publishers(home):
    """Publishers of a home that are at work; the dead have no command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "bdbench.tracking.publisher" in command and str(home.path) in command:
            found.append(process)
    return found


def start(home, run="run-1", cells=1):
    hooks.bdbench_plan_built(PlanBuilt("quick", {"to run": cells}, {}))
    hooks.bdbench_run_started(RunEvent(run, "quick", home.path, "started"))


def finish(home, run="run-1", status="finished"):
    hooks.bdbench_run_finished(RunEvent(run, "quick", home.path, status))


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Whoever waits for a publisher does so until it is done, however slow the machine is."""
    monkeypatch.setattr(observer, "DRAIN_SECONDS", 300.0)


@pytest.fixture(autouse=True)
def nothing_stays(home):
    yield
    left = publishers(home)
    for process in left:
        process.kill()
    assert not left


def test_hooks_import_nothing_heavy():
    heavy = "{'mlflow', 'torch', 'pandas', 'numpy', 'sqlalchemy', 'transformers', 'psutil'}"
    code = f"import sys, bdbench.tracking.hooks; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


RUN = """
import json, sys
from pathlib import Path
from bdbench.api import CellEvent, PlanBuilt, RunEvent
from bdbench.tracking import hooks, observer

home = Path(sys.argv[1])
hooks.bdbench_plan_built(PlanBuilt("quick", {"to run": 6}, {}))
hooks.bdbench_run_started(RunEvent("run-1", "quick", home, "started"))
for line in sys.stdin:
    hooks.bdbench_cell_finished(CellEvent("run-1", home, json.loads(line)))
    print("spooled", flush=True)
"""


def test_publisher_and_run_are_killed_and_all_is_there_once(home, runs, make_record, monkeypatch):
    def send(records):
        for record in records:
            run.stdin.write(json.dumps(record) + "\n")
            run.stdin.flush()
            assert run.stdout.readline() == "spooled\n"

    records = [make_record(seed=seed) for seed in range(6)]
    command = [sys.executable, "-c", RUN, str(home.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as run:
        send(records[:4])
        wait_for(lambda: len(list((home.spool / "published").rglob("*.json"))) > 1)
        (process,) = publishers(home)
        process.kill()
        # Its first thread is a zombie before the others are gone; nobody can reap it until then.
        wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE and process.num_threads() == 1)
        send(records[4:])
        assert len(publishers(home)) == 1
        run.kill()
    wait_for(lambda: not publishers(home))
    assert {run.data.params["seed"] for run in runs(complete=True)} == set("012345")
    assert len(runs()) == 6
    assert len(runs("victim")) == 6

    def never(*_, **__):
        raise AssertionError("a cached run started a publisher")

    finish(home, "run-2")
    wait_for(lambda: not publishers(home))
    monkeypatch.setattr(subprocess, "Popen", never)
    start(home, "run-3", cells=0)
    for record in records:
        hooks.bdbench_cell_finished(CellEvent("run-3", home.path, record))
    finish(home, "run-3")
    assert Spool(home, resolve_destination(home)).pending() == []


def test_a_server_that_is_down_costs_a_moment_and_a_line(home, make_record, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    start(home)
    hooks.bdbench_cell_finished(CellEvent("run-1", home.path, make_record()))
    finish(home)
    notice = capsys.readouterr().err
    assert notice.startswith("bdbench: 2 results are not in MLflow yet (http://127.0.0.1:1)")
    assert notice.count("\n") == 1
    log = (home.spool / "publisher.log").read_text("utf-8")
    assert "published 0, left 2" in log
    wait_for(lambda: not publishers(home))


def test_who_interrupts_does_not_wait_and_the_next_run_publishes_the_rest(
    home, runs, make_record, capsys, monkeypatch
):
    def never(_):
        raise AssertionError("it waited")

    start(home)
    hooks.bdbench_cell_finished(CellEvent("run-1", home.path, make_record()))
    with monkeypatch.context() as patch:
        patch.setattr(observer.time, "sleep", never)
        finish(home, status="interrupted")
    assert "not in MLflow yet" in capsys.readouterr().err
    for process in publishers(home):
        process.kill()
    start(home, "run-2", cells=0)
    finish(home, "run-2")
    assert capsys.readouterr().err == ""
    assert len(runs(complete=True)) == 1
    wait_for(lambda: not publishers(home))
