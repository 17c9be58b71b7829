"""The command in this process, and a toy suite to name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from bdbench.cli.main import run
from bdbench.home import Home
from bdbench.host.wheels import read_wheel
from bdbench.results.costs import COSTS
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


def estimate(mean):
    """A mean over three seeds, or nothing."""
    if mean is None:
        return None
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "sd": 0.05, "seeds": 3}


def row(attack, defense, asr, accuracy=0.9, **changes):
    """A row of a comparison: of the control if there is no attack."""
    control, baseline = attack == "none", defense == "none"
    test = {"p": 0.01, "p_holm": 0.02, "significant": True}
    by_attack = None if baseline or asr is None else {**estimate(asr - 1), **test}
    by_utility = None if baseline or accuracy is None else {**estimate(-0.01), **test}
    return {
        "dataset": "blobs",
        "model": "linear",
        "attack": attack,
        "defense": defense,
        "control": control,
        "baseline": baseline,
        "seeds": [] if accuracy is None else [0, 1, 2],
        "status": {"failed" if accuracy is None else "success": 3},
        "reasons": [],
        "needs": "nothing",
        "values": {"clean_accuracy": estimate(accuracy), "asr": estimate(asr)},
        "changes": {"attack": by_attack, "utility": by_utility},
        "over_floor": estimate(asr),
        "control_effect": estimate(-0.01),
        "gate": {"passed": not control, "reason": "never attacked" if control else ""},
        "ranked": not control,
        "unranked_because": "never attacked" if control else "",
        "pareto": not control,
        "cost": dict.fromkeys(COSTS, 1.5),
        "selection": "fixed",
        "isolation": "namespace",
        "failed": 3 if accuracy is None else 0,
        "cells": [f"{attack}-{defense}-{seed}" for seed in range(3)],
        **changes,
    }


@pytest.fixture
def make_row():
    """Makes rows for `finished_run`."""
    return row


@pytest.fixture
def finished_run(home):
    """Writes a finished run, and gives its comparison."""

    def finished_run(
        run_id="20260101-000000-toy-aaaa",
        suite="toy",
        finished=0.0,
        label="merge",
        rows=None,
        records=(),
        document=None,
        **changes,
    ):
        column = {"summary": "", "bounds": [0, 1], "unit": "share", "metric": "d/m"}
        comparison = {
            "schema": "bdbench.comparison/3",
            "suite": suite,
            "run_id": run_id,
            "created": "2026-01-01T00:00:00Z",
            "bdbench": "0.1.0",
            "partial": False,
            "seeds": [0, 1, 2],
            "clean_rows": 0,
            "references": [],
            "gates": {
                "asr_over_floor": 0.5,
                "accuracy_under_control": 0.05,
                "accuracy_under_victim": 0.1,
            },
            "roles": {"attack": "asr", "utility": "clean_accuracy", "floor": None},
            "columns": [
                {**column, "name": "clean_accuracy", "direction": "higher", "role": "utility"},
                {**column, "name": "asr", "direction": "lower", "role": "attack"},
            ],
            "rows": [row("patch", label, 0.25)] if rows is None else rows,
            "rankings": [],
            "examples": [],
            "provenance": {
                "components": [], "training": {}, "environment": {}, "isolation": [], "data": [],
            },
            "citations": [],
            "notes": ["A note."],
            **changes,
        }  # fmt: skip
        run = {"run_id": run_id, "suite": suite, "finished": finished, "document": document}
        write_run(Home(home).runs / run_id, records, comparison, run)
        return comparison

    return finished_run


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Writes the registry in use: one community plugin, pinned to a wheel or to nothing real."""

    def registry(wheel=None, **changes):
        pin = {"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64]}
        if wheel:
            pin |= {"sha256": [read_wheel(wheel).sha256], "files": [read_wheel(wheel).files]}
        entry = {
            "name": "defense-fake",
            "distribution": "bdbench-defense-fake",
            "tier": "community",
            "summary": "Drops words.",
            "provides": ["defense:fake"],
            "homepage": "https://example.org/fake",
            "license": "MIT",
            "citation": ["Doe (2026): Fakes"],
            "api": ">=1.0,<2",
            "pin": pin,
            **changes,
        }
        path = tmp_path / "registry.yaml"
        path.write_text(yaml.safe_dump({"plugins": [entry]}), "utf-8")
        monkeypatch.setenv("BDBENCH_REGISTRY", str(path))
        return path

    return registry


@pytest.fixture
def unpack(tmp_path, monkeypatch):
    """Installs a wheel; gives the folder of its package."""

    def unpack(wheel):
        site = tmp_path / "site"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        monkeypatch.syspath_prepend(site)
        return site / wheel.name.partition("-")[0]

    return unpack
