"""Runs of the toy suite through the real command, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bdbench.cli.main import run

TOY = Path(__file__).parents[1] / "toy"
SUITE = TOY / "suite.yaml"


@pytest.fixture(scope="session")
def environment():
    """What a command needs to find the toy plugin; MLflow has tests of its own."""
    return os.environ | {"PYTHONPATH": str(TOY), "BDBENCH_DISABLE_PLUGINS": "mlflow"}


@pytest.fixture(scope="session")
def bdbench(environment):
    def call(*arguments, check=None):
        result = subprocess.run(
            [sys.executable, "-m", "bdbench", *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check is not None:
            assert result.returncode == check, result.stderr
        return result

    return call


@pytest.fixture
def bdbench_here(capsys, monkeypatch):
    """The command in this process, where torch is imported already: (code, stdout, stderr)."""
    monkeypatch.setenv("BDBENCH_DISABLE_PLUGINS", "mlflow")

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            run(list(map(str, arguments)))
        output = capsys.readouterr()
        return ended.value.code, output.out, output.err

    return call


@pytest.fixture(scope="session")
def toy_run(bdbench, tmp_path_factory):
    """One whole run: (home, the command's result)."""
    home = tmp_path_factory.mktemp("home")
    result = bdbench("run", SUITE, "--home", home, "--display", "plain", check=0)
    return home, result


@pytest.fixture(scope="session")
def records(toy_run):
    home, _ = toy_run
    return read_records(home)


def read_records(home):
    newest = max(home.glob("runs/*-toy-*/records.jsonl"))
    return [json.loads(line) for line in newest.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def of():
    """The one of some records that is of an attack, a defense and a seed."""

    def of(records, attack, defense, seed=0):
        wanted = (attack, defense, seed)
        (record,) = [
            item
            for item in records
            if (item["attack"]["label"], item["defense_label"], item["seed"]) == wanted
        ]
        return record

    return of
