"""Tries what this machine allows, and prints it as JSON: ``python -m`` this module.

Each kind is tried in a fork of its own, the way a worker is started, and Python is started
once more inside: a library that the view lacks shows here and not in the midst of a run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bdbench.execution.sandbox.confine import run_confined
from bdbench.execution.sandbox.jail import Jail
from bdbench.execution.sandbox.kinds import Isolation
from bdbench.execution.sandbox.limits import Limits, Reason

__all__: list[str] = []

SECONDS = 20


def _try(kind: Isolation) -> str:
    """Why a kind does not work here; empty if it does."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        try:
            why = _try_here(kind)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the answer
            why = getattr(error, "found", "") or str(error) or type(error).__name__
        os.write(theirs, why.encode("utf-8", "replace"))
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        why = file.read().decode("utf-8", "replace")
    status = os.waitpid(child, 0)[1]
    return why if status == 0 else f"the trial ended with status {status}: {why}"


def _try_here(kind: Isolation) -> str:
    with tempfile.TemporaryDirectory() as name:
        jail = Jail(Path(name))
        jail.create()
        marker = Path(name) / "outside"
        marker.write_text("seen", "utf-8")

        def look(box: Path) -> None:
            command = [sys.executable, "-c", "import ctypes, hashlib, zlib"]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 -- Python
            (box / "out" / "mark").write_text("", "utf-8")
            try:
                marker.read_bytes()
            except OSError:
                return
            raise RuntimeError("a file that is not the worker's could be read")

        ending = run_confined(kind, jail, look, Limits(seconds=SECONDS))
        if ending.reason is Reason.DONE:
            return ""
        last = jail.log.read_text("utf-8", errors="replace").strip().splitlines()[-1:]
        return ": ".join([ending.text, *last])


if __name__ == "__main__":
    print(json.dumps({kind: _try(kind) for kind in (Isolation.NAMESPACE, Isolation.LANDLOCK)}))  # noqa: T201 -- its answer
