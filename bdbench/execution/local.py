"""The local executors: worker processes forked from a warm parent, or no process at all."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdbench.api import Executor, StageOutcome, StageTask
from bdbench.execution.worker import work
from bdbench.home import Home
from bdbench.host.catalog import Host
from bdbench.host.plugins import disabled_names
from bdbench.store.objects import Store

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

__all__ = ["InlineExecutor", "LocalExecutor"]


@dataclass(slots=True)
class _Running:
    task: StageTask
    process: BaseProcess
    connection: Connection
    started: float
    device: str | None


class LocalExecutor(Executor):
    """One process per stage, as many at a time as there are processors (or CUDA devices).

    The processes are forked from a parent that has torch imported (Python's "forkserver"), so
    that each starts in some 20 ms. Each uses one thread.

    Args:
        config: A `bdbench.builtin.configs.LocalConfig`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._running: list[_Running] = []
        self._workers = 1
        self._devices = _cuda_devices()
        self._context = multiprocessing.get_context("forkserver")

    def start(self, home: Path) -> None:  # noqa: ARG002 -- tasks name their home
        """Starts the warm parent."""
        self._workers = self.config.workers or len(self._devices) or _processors()
        # The parent is started with `python -c`, which would import whatever in the current
        # folder bears the name of a package.
        os.environ["PYTHONSAFEPATH"] = "1"
        self._context.set_forkserver_preload(["bdbench.execution.warm"])

    @property
    def free(self) -> int:
        """How many more tasks can be taken now."""
        return self._workers - len(self._running)

    def submit(self, task: StageTask) -> None:
        """Forks a worker."""
        ours, theirs = self._context.Pipe()
        device = self._least_used_device()
        # multiprocessing's own types promise less than a pipe's two ends are.
        process = self._context.Process(
            target=work,
            args=(theirs, task.home, dict(task.document), tuple(disabled_names()), device),
            daemon=True,
        )
        process.start()
        theirs.close()
        self._running.append(_Running(task, process, ours, time.perf_counter(), device))

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
        for item in self._running:
            item.process.kill()
        for item in self._running:
            item.process.join()
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


def _outcome(item: _Running) -> StageOutcome:
    seconds = time.perf_counter() - item.started
    error: dict[str, str] | None
    try:
        seconds, error = item.connection.recv()
    except (EOFError, OSError):
        item.process.join()
        code = item.process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        error = {
            "type": "Crash",
            "what": "the worker process ended without an answer",
            "where": item.task.label,
            "found": how + (" (out of memory?)" if code == -9 else ""),
            "expected": "a result",
            "next": f"look at the log in {item.task.home / 'logs'}",
        }
    item.process.join()
    item.connection.close()
    return StageOutcome(item.task.key, seconds, error)


def _processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _cuda_devices() -> list[str]:
    """The CUDA devices to share out, found without torch: those that the user left visible."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        # Torch reads "-1" as "none", and so do we.
        return [name for name in visible.split(",") if name not in {"", "-1"}]
    names = sorted(
        int(path.name.removeprefix("nvidia")) for path in Path("/dev").glob("nvidia[0-9]*")
    )
    return [str(name) for name in names]
