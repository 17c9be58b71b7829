"""The local executors: worker processes forked from a warm parent, or no process at all."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

import bdbench
from bdbench.api import Executor, InputError, StageOutcome, StageTask
from bdbench.execution.parent import WarmParent, connect
from bdbench.execution.sandbox.kinds import Isolation, available
from bdbench.home import Home
from bdbench.host.catalog import Host
from bdbench.store.objects import Store

__all__ = ["InlineExecutor", "LocalExecutor"]


PACKAGE = Path(bdbench.__file__).parent
LABELLED = (PACKAGE / "data", PACKAGE / "suite" / "presets")
"""Test rows with their labels, and suites with triggers in them, lie beside the code."""


@dataclass(slots=True)
class _Running:
    task: StageTask
    connection: Connection
    started: float
    device: str | None


class LocalExecutor(Executor):
    """One process per stage, as many at a time as there are processors (or CUDA devices).

    The processes are forked from a parent that has torch imported, so that each starts in some
    20 ms. Each uses one thread. Attacks, defenses and metrics act in further processes, each of
    which sees only what it was given.

    Args:
        config: A `bdbench.execution.config.LocalConfig`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._running: list[_Running] = []
        self._workers = 1
        self._devices = _cuda_devices()
        self._parent: WarmParent | None = None
        self._boxes: dict[str, Any] = {}

    def start(self, home: Path) -> None:
        """Starts the warm parent.

        Raises:
            InputError: The kind of isolation that was asked for does not work here.
        """
        self._workers = self.config.workers or len(self._devices) or _processors()
        self._parent = WarmParent()
        self._boxes = {
            "address": self._parent.address,
            "isolation": str(_isolation(self.config.isolation)),
            "masked": [str(path) for path in (home, *LABELLED)],
            "seconds": self.config.deadline_minutes * 60,
            "memory_mib": int((self.config.memory_gib or _most_memory_gib()) * 1024),
            "file_mib": self.config.file_gib and int(self.config.file_gib * 1024),
        }

    @property
    def free(self) -> int:
        """How many more tasks can be taken now."""
        return self._workers - len(self._running)

    def submit(self, task: StageTask) -> None:
        """Has a worker forked."""
        device = self._least_used_device()
        environment = dict(os.environ)
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        wanted = {
            "do": "work",
            "home": str(task.home),
            "document": dict(task.document),
            "environment": environment,
            # Processes of components are not forked from the worker.
            "boxes": {**self._boxes, "device": device},
        }
        connection = connect(self._boxes["address"], wanted)
        self._running.append(_Running(task, connection, time.perf_counter(), device))

    def _least_used_device(self) -> str | None:
        used = [item.device for item in self._running]
        return min(self._devices, key=used.count, default=None)

    def wait(self, timeout: float) -> list[StageOutcome]:
        """The tasks that ended since the last call."""
        ready = wait([item.connection for item in self._running], timeout)
        ended = [item for item in self._running if item.connection in ready]
        self._running = [item for item in self._running if item.connection not in ready]
        return [_outcome(item) for item in ended]

    def stop(self) -> None:
        """Kills the workers; what they had not finished is not in the store."""
        if self._parent is not None:
            self._parent.stop()
            self._parent = None
        for item in self._running:
            item.connection.close()
        self._running = []


class InlineExecutor(Executor):
    """Makes every stage in the main process, one after the other: for debuggers and tests."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._done: list[StageOutcome] = []
        self._host: Host | None = None

    def start(self, home: Path) -> None:
        """Nothing to get ready."""

    @property
    def free(self) -> int:
        """One, unless an outcome waits to be fetched."""
        return 0 if self._done else 1

    def submit(self, task: StageTask) -> None:
        """Makes the stage now."""
        from bdbench.engine.stages import run_stage  # noqa: PLC0415 -- brings in torch

        self._host = self._host or Host()
        started = time.perf_counter()
        error = run_stage(task.document, Store(Home(task.home).store), self._host)
        self._done.append(StageOutcome(task.key, time.perf_counter() - started, error))

    def wait(self, timeout: float) -> list[StageOutcome]:  # noqa: ARG002 -- it is all done
        """What was made since the last call."""
        done, self._done = self._done, []
        return done

    def stop(self) -> None:
        """Nothing runs."""


def _isolation(wanted: str) -> Isolation:
    """The kind of walls: the strongest that works here, or the one that was asked for."""
    machine = available()
    if wanted == "auto":
        return machine.strongest
    kind = Isolation(wanted)
    if not machine.can(kind):
        raise InputError(
            "components cannot be kept apart in this way here",
            where="isolation",
            found=machine.refused[kind],
            expected=f"at most {machine.strongest}",
            next="see `bdbench doctor`, or leave it out for the best that this machine can do",
        )
    return kind


def _outcome(item: _Running) -> StageOutcome:
    seconds = time.perf_counter() - item.started
    found: dict[str, Any]
    with item.connection as connection:
        try:
            found = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            found = {"ended": None}
    if "ended" not in found:
        return StageOutcome(item.task.key, found["seconds"], found["error"])
    code = found["ended"]
    how = "no trace" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
    error = {
        "type": "Crash",
        "what": "the worker process ended without an answer",
        "where": item.task.label,
        "found": how + (" (out of memory?)" if code == -signal.SIGKILL else ""),
        "expected": "a result",
        "next": f"look at the log in {Home(item.task.home).logs}",
    }
    return StageOutcome(item.task.key, seconds, error)


def _processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _most_memory_gib() -> float:
    """So much that the kernel does not have to choose whom to kill: it might choose the host."""
    total: int = psutil.virtual_memory().total
    return 0.9 * total / 2**30


def _cuda_devices() -> list[str]:
    """The CUDA devices to share out, found without torch: those that the user left visible."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        # Torch reads "-1" as "none", and so do we.
        return [name for name in visible.split(",") if name not in {"", "-1"}]
    names = sorted(
        int(path.name.removeprefix("nvidia")) for path in Path("/dev").glob("nvidia[0-9]*")
    )
    return [str(name) for name in names]
