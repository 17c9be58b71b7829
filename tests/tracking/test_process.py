"""With real publisher processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil
import pytest
from bdbench.api import CellEvent, PlanBuilt, RunEvent
from bdbench.tracking import hooks
from bdbench.tracking.destination import resolve_destination
from bdbench.tracking.publisher import drain
from bdbench.tracking.spool import Spool

COMPLETE = " and tags.`bdbench.complete` = 'true'"


def wait_for(condition, seconds=40):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def publishers(home):
    """Publishers of a home that are at work."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
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


def test_a_publisher_that_is_killed_is_replaced_and_a_cached_run_starts_none(
    home, runs, make_record, capsys, monkeypatch
):
    spool = Spool(home, resolve_destination(home))
    marks = home.spool / "published"
    start(home)
    for seed in range(4):
        record = make_record(seed=seed)
        hooks.bdbench_cell_finished(CellEvent("run-1", home.path, record))
    wait_for(lambda: len(list(marks.rglob("*.json"))) > 1)
    (process,) = publishers(home)
    process.kill()
    wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE)
    for seed in range(4, 6):
        record = make_record(seed=seed)
        hooks.bdbench_cell_finished(CellEvent("run-1", home.path, record))
    finish(home)
    assert capsys.readouterr().err == ""
    assert spool.pending() == []
    assert {run.data.params["seed"] for run in runs(where=COMPLETE)} == set("012345")
    assert len(runs()) == 6
    wait_for(lambda: not publishers(home))

    def never(*_, **__):
        raise AssertionError("a cached run started a publisher")

    monkeypatch.setattr(subprocess, "Popen", never)
    start(home, "run-2", cells=0)
    for seed in range(6):
        hooks.bdbench_cell_finished(CellEvent("run-2", home.path, make_record(seed=seed)))
    finish(home, "run-2")
    assert spool.pending() == []


RUN = """
import json, sys, time
from pathlib import Path
from bdbench.api import CellEvent, PlanBuilt, RunEvent
from bdbench.tracking import hooks

home = Path(sys.argv[1])
hooks.bdbench_plan_built(PlanBuilt("quick", {"to run": 3}, {}))
hooks.bdbench_run_started(RunEvent("run-1", "quick", home, "started"))
for record in json.load(sys.stdin):
    hooks.bdbench_cell_finished(CellEvent("run-1", home, record))
print("spooled", flush=True)
time.sleep(600)
"""


def test_a_publisher_outlives_a_killed_run_only_to_finish_its_work(home, runs, make_record):
    command = [sys.executable, "-c", RUN, str(home.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as run:
        run.stdin.write(json.dumps([make_record(seed=seed) for seed in range(3)]))
        run.stdin.close()
        assert run.stdout.readline() == "spooled\n"
        assert len(publishers(home)) == 1
        run.kill()
    wait_for(lambda: not publishers(home))
    assert {run.data.params["seed"] for run in runs(where=COMPLETE)} == {"0", "1", "2"}


def test_a_server_that_is_down_costs_a_moment_and_a_line(home, make_record, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    start(home)
    hooks.bdbench_cell_finished(CellEvent("run-1", home.path, make_record()))
    began = time.monotonic()
    finish(home)
    assert time.monotonic() - began < 19
    notice = capsys.readouterr().err
    assert notice.startswith("bdbench: 2 results are not in MLflow yet (http://127.0.0.1:1)")
    assert notice.count("\n") == 1
    log = (home.spool / "publisher.log").read_text("utf-8")
    assert "published 0, left 2" in log
    wait_for(lambda: not publishers(home))


def test_who_interrupts_does_not_wait(home, make_record):
    start(home)
    hooks.bdbench_cell_finished(CellEvent("run-1", home.path, make_record()))
    began = time.monotonic()
    finish(home, status="interrupted")
    assert time.monotonic() - began < 1
    for process in publishers(home):
        process.kill()
    wait_for(lambda: not publishers(home))
    assert drain(home.path).left == 0
