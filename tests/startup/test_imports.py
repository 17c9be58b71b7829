"""What answers at once imports nothing heavy, however many plugins are installed.

No times are measured here: what is imported decides them, and can be told exactly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bdbench.home import Home
from bdbench.results.runs import write_run

HEAVY = {"torch", "transformers", "datasets", "mlflow", "pandas"}
TOY = Path(__file__).parents[1] / "toy"

RUNNER = """
import json, sys
from bdbench.cli.main import run
try:
    run(sys.argv[2:])
finally:
    with open(sys.argv[1], "w") as file:
        json.dump(sorted(sys.modules), file)
"""

COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "help of run": ["run", "--help"],
    "list": ["list"],
    "list as JSON": ["list", "--json"],
    "plugins": ["plugins"],
    "plan of the toy": ["run", str(TOY / "suite.yaml"), "--plan"],
    "show none": ["show", "none"],
    "show a defense": ["show", "toy-mean"],
    "show a preset": ["show", "quickstart"],
    "show the keys": ["show", "--suite-keys"],
    "leaderboard": ["leaderboard"],
    "leaderboard as CSV": ["leaderboard", "--csv"],
    "leaderboard as Markdown": ["leaderboard", "--markdown"],
    "a check": ["leaderboard", "--fail-if", "asr>1", "--defense", "merge"],
    "a report": ["report", "--out", "-"],
    "a report in LaTeX": ["report", "--format", "latex", "--out", "-"],
    "citations": ["cite"],
    "two defenses": ["compare", "merge", "onion"],
    "a mistake": ["run", "nowhere.yaml"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("home"))
    golden = Path(__file__).parents[1] / "results" / "golden" / "comparison.json"
    comparison = json.loads(golden.read_text("utf-8"))
    run = {"run_id": "r", "suite": "toy", "finished": 0.0}
    write_run(home.runs / "r", [], comparison, run)
    return home


@pytest.fixture
def modules(tmp_path):
    """The names of all modules that a fresh interpreter has imported at the end of a command."""

    def modules(code, *arguments, **variables):
        log = tmp_path / "modules"
        path = os.pathsep.join(filter(None, [str(TOY), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-c", code, str(log), *arguments],
            env={**os.environ, "PYTHONPATH": path, **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert log.exists(), done.stderr
        return set(json.loads(log.read_text("utf-8"))), done

    return modules


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_answers_at_once_imports_nothing_heavy(modules, home, arguments):
    found, done = modules(RUNNER, *arguments, BDBENCH_HOME=str(home.path))

    assert found & HEAVY == set()
    assert done.returncode == (4 if "nowhere.yaml" in arguments else 0), done.stderr


def test_importing_the_api_imports_nothing_heavy(modules):
    code = (
        "import json, sys, bdbench.api\n"
        "with open(sys.argv[1], 'w') as file:\n    json.dump(sorted(sys.modules), file)"
    )

    found, _ = modules(code)

    assert found & (HEAVY | {"numpy", "pyarrow", "rich", "yaml"}) == set()


def test_the_test_can_fail(modules):
    code = (
        "import json, sys, bdbench.engine.numerics\n"
        "with open(sys.argv[1], 'w') as file:\n    json.dump(sorted(sys.modules), file)"
    )

    found, _ = modules(code)

    assert "torch" in found
