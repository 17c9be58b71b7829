"""What an executor implements: it sees to it that stages are in the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Executor", "StageOutcome", "StageTask"]


@dataclass(frozen=True, slots=True)
class StageTask:
    """The idempotent command "make sure that this stage is in the store".

    Attributes:
        key: The stage's identity.
        kind: Its kind.
        label: For people.
        home: The folder that holds the store.
        document: The stage as JSON data: everything that a worker needs besides the store.
    """

    key: str
    kind: str
    label: str
    home: Path
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What became of a task.

    Attributes:
        key: The stage's identity.
        seconds: Wall time in the worker.
        error: None if the stage is in the store, else the error as a dictionary; a crash has
            the traceback under ``traceback``.
    """

    key: str
    seconds: float
    error: Mapping[str, str] | None = None


class Executor(ABC):
    """The base of every executor.

    The scheduler calls `start` once, then `submit` while `free` is positive and `wait` in
    turn, and `stop` at the end, whatever happened. Tasks may run in any order and at the same
    time: the scheduler submits one only when everything that it reads is in the store.

    Args:
        config: The validated configuration; store it and do nothing else.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def start(self, home: Path) -> None:
        """Gets ready."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many more tasks can be taken now."""

    @abstractmethod
    def submit(self, task: StageTask) -> None:
        """Takes a task."""

    @abstractmethod
    def wait(self, timeout: float) -> list[StageOutcome]:
        """The tasks that ended since the last call; waits up to `timeout` seconds for one."""

    @abstractmethod
    def stop(self) -> None:
        """Ends whatever still runs, at once. What it had not finished is not in the store."""
