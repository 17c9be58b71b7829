"""A clean environment with the host's wheel, and a folder that has nothing of this repository."""

# ruff: noqa: T201 -- a script: what it prints is its log
from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NEEDED = (".", "plugins/bdbench-metric-classification")
"""What is installed besides strangers' plugins: the host, and the metric that ranks."""


@dataclass(frozen=True)
class Done:
    """What a command wrote, to stdout and to stderr."""

    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Place:
    """The environment, and what is done in it.

    Args:
        root: This repository.
        work: A folder, which is emptied.
    """

    def __init__(self, root: Path, work: Path) -> None:
        shutil.rmtree(work, ignore_errors=True)
        self.root, self.work = root, work
        self.environment = work / "venv"
        self.wheels = work / "wheels"
        self.registry = work / "registry.yaml"
        self.traces = work / "traces"
        self._nowhere = work / "nowhere"
        for folder in (self.wheels, self.traces, self._nowhere):
            folder.mkdir(parents=True)
        self.registry.write_text("plugins: []\n", "utf-8")
        host = work / "host"
        for source in NEEDED:
            self._build(root / source, host)
        self.call("uv", "venv", "--quiet", "--python", sys.executable, self.environment)
        self.call("uv", "pip", "install", "--quiet", "--python", self.python, *host.glob("*.whl"))

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.environment / "bin" / "python"

    @property
    def site(self) -> Path:
        """Where packages are installed."""
        (found,) = self.environment.glob("lib/python*/site-packages")
        return found

    def call(self, *command: str | Path, code: int = 0, **variables: str) -> Done:
        """Runs a command that must end with a code, as a user whose settings are all unset."""
        words = list(map(str, command))
        log = " ".join(f"{key}={value}" for key, value in variables.items())
        print(f"  {log}$ {shlex.join(words)}".replace("\n", " "), flush=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BDBENCH_", "PYTHON"))
        }
        own = {
            "BDBENCH_HOME": str(self.work / "home"),
            "BDBENCH_REGISTRY": str(self.registry),
            # See `writes_a_trace`.
            "TRACES": str(self.traces),
        }
        done = subprocess.run(
            words,
            cwd=self._nowhere,
            env={**kept, **own, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}, not {code}\n{done.stdout}{done.stderr}"
        return Done(done.stdout, done.stderr)

    def bdbench(self, *arguments: str | Path, code: int = 0, **variables: str) -> Done:
        """Runs the environment's ``bdbench``."""
        return self.call(self.environment / "bin" / "bdbench", *arguments, code=code, **variables)

    def install(self, *arguments: str | Path, code: int = 0) -> Done:
        """Installs a plugin from the folder of wheels, as its user would."""
        asked = ("plugins", "install", *arguments, "--yes")
        return self.bdbench(*asked, "--no-index", "--find-links", self.wheels, code=code)

    def plugins(self, **variables: str) -> dict[str, dict[str, Any]]:
        """The rows of ``bdbench plugins`` by distribution, without the host's own."""
        rows = self.bdbench("plugins", "--json", **variables).json()
        return {row["distribution"]: row for row in rows if row["distribution"] != "bdbench"}

    def imported(self) -> set[str]:
        """The distributions that have left a trace since this was last asked."""
        found = {path.name for path in self.traces.iterdir()}
        for name in found:
            (self.traces / name).unlink()
        return found

    def write(self, kind: str, name: str, change: Callable[[str], str] = str) -> Path:
        """A wheel of what ``bdbench new`` writes, with a changed hooks.py; its sources go."""
        sources = self.work / "sources"
        sources.mkdir()
        folder = Path(self.bdbench("new", kind, name, "--out", sources).out.strip())
        (hooks,) = folder.glob("src/*/hooks.py")
        hooks.write_text(change(hooks.read_text("utf-8")), "utf-8")
        self._build(folder, self.wheels)
        shutil.rmtree(sources)
        (wheel,) = self.wheels.glob(f"{folder.name.replace('-', '_')}-*.whl")
        return wheel

    def _build(self, source: Path, to: Path) -> None:
        done = ("build", "--wheel", "--no-isolation", "--outdir", to, source)
        self.call(sys.executable, "-m", *done)


def writes_a_trace(hooks: str) -> str:
    """A hooks.py that tells whenever it is imported."""
    trace = "import os, pathlib\npathlib.Path(os.environ['TRACES'], __package__).touch()\n"
    return change(hooks, "from bdbench.api import", f"{trace}from bdbench.api import")


def change(text: str, old: str, new: str) -> str:
    """Replaces what must be there once."""
    assert text.count(old) == 1, (old, text)
    return text.replace(old, new)
