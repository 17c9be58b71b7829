"""Other processes for checks: a fresh interpreter, and one that keeps a component's twin."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from bdbench.api.specs import ComponentSpec
from bdbench.host.plugins import REGISTRATION_HOOKS, Component
from bdbench.testing.traces import Trace

__all__ = ["Elsewhere", "elsewhere", "imported_by"]

START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
KINDS: Mapping[str, type[ComponentSpec]] = {kind.kind: kind for kind in REGISTRATION_HOOKS.values()}


def imported_by(*modules: str) -> set[str]:
    """The top-level names of what a fresh interpreter has imported after these modules.

    Raises:
        RuntimeError: One of them cannot be imported.
    """
    code = START + (
        "import importlib; [importlib.import_module(name) for name in sys.argv[2:]]; "
        "print('\\0' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(  # noqa: S603 -- our own code, in our own interpreter
        [sys.executable, "-c", code, json.dumps(sys.path), *modules],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2] or f"exit {done.returncode}")
    return set(json.loads(done.stdout.rpartition("\0")[2]))


class Elsewhere:
    """A process that is told a component's spec and settings, and nothing else of it.

    Its hashes are seeded otherwise than here, and it sees no GPU.
    """

    def __init__(self) -> None:
        code = START + "from bdbench.testing.elsewhere import main; main()"
        environment = {**os.environ, "PYTHONHASHSEED": "12345", "CUDA_VISIBLE_DEVICES": ""}
        self._process = subprocess.Popen(  # noqa: S603 -- our own code, in our own interpreter
            [sys.executable, "-c", code, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def act(self, component: Component, settings: Mapping[str, Any], folder: Path) -> Trace:
        """What a component does there.

        Args:
            component: The component.
            settings: Its settings.
            folder: An empty folder, for what it gives back.

        Raises:
            RuntimeError: It did not get to the end; the message says why.
        """
        spec = component.spec
        question = {
            "kind": spec.kind,
            "spec": json.loads(TypeAdapter(type(spec)).dump_json(spec)),
            "distribution": component.distribution,
            "version": component.version,
            "settings": settings,
            "out": str(folder / "results.npz"),
        }
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = ""
        if not line:
            raise RuntimeError(f"the process ended with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        with np.load(question["out"], allow_pickle=False) as found:
            return {name: found[f"arr_{at}"] for at, name in enumerate(answer["names"])}

    @property
    def ended(self) -> bool:
        """Whether the process is gone: a component can end it."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


_running: dict[tuple[str, ...], Elsewhere] = {}


def elsewhere() -> Elsewhere:
    """The one process of its kind; a new one if it ended or other things can be imported."""
    place = tuple(sys.path)
    if place not in _running or _running[place].ended:
        _running[place] = Elsewhere()
        atexit.register(_running[place].close)
    return _running[place]


def main() -> None:
    """Answers one question a line; what components print goes nowhere."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"names": _answer(json.loads(line))}
        except (Exception, SystemExit) as caught:  # noqa: BLE001 -- told to whoever asked
            answer = {"error": f"{type(caught).__name__}: {caught}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(question: Mapping[str, Any]) -> list[str]:
    """Leaves the results in a file; gives their names."""
    from bdbench.testing.subject import Subject  # noqa: PLC0415 -- it imports checks' parts

    text = json.dumps(question["spec"])
    spec: ComponentSpec = TypeAdapter(KINDS[question["kind"]]).validate_json(text)
    component = Component(spec, question["distribution"], question["version"])
    act = Subject(component, question["settings"]).act(number=3)
    # By number: a name may hold what no file's name can.
    np.savez(question["out"], *act.results.values())
    return list(act.results)
