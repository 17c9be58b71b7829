"""The command in this process, and a toy suite to name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from bdbench.cli.main import run
from bdbench.home import Home
from bdbench.results.runs import write_run

TOY = Path(__file__).parents[1] / "toy"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home that nobody has made yet."""
    path = tmp_path / "home"
    monkeypatch.setenv("BDBENCH_HOME", str(path))
    # Set, so that what --no-plugin adds is taken back afterwards.
    monkeypatch.setenv("BDBENCH_DISABLE_PLUGINS", "mlflow")
    return path


@pytest.fixture
def bdbench(capsys, home):
    """Runs a command: ``code``, ``out`` and ``err``."""

    def bdbench(*arguments):
        with pytest.raises(SystemExit) as ended:
            run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code, out=out, err=err)

    return bdbench


@pytest.fixture
def toy():
    """The toy suite's file."""
    return TOY / "suite.yaml"


@pytest.fixture
def finished_run(home):
    """Writes a finished run, and gives its comparison."""

    def finished_run(run_id="20260101-000000-toy-aaaa", suite="toy", finished=0.0, label="merge"):
        comparison = {
            "schema": "bdbench.comparison/1",
            "suite": suite,
            "run_id": run_id,
            "columns": [
                {
                    "name": "asr",
                    "summary": "",
                    "direction": "lower",
                    "bounds": [0, 1],
                    "unit": "share",
                    "metric": "d/m",
                }
            ],
            "rows": [
                {
                    "dataset": "blobs",
                    "model": "linear",
                    "attack": "patch",
                    "defense": label,
                    "seeds": [0],
                    "status": {"success": 1},
                    "reasons": [],
                    "needs": "nothing",
                    "values": {"asr": 0.25},
                    "defense_seconds": 1.5,
                    "cells": ["c"],
                }
            ],
            "notes": ["A note."],
            "seeds": [0],
            "clean_rows": 0,
        }
        run = {"run_id": run_id, "suite": suite, "finished": finished}
        write_run(Home(home).runs / run_id, [], comparison, run)
        return comparison

    return finished_run
