"""What a worker may use, and what watches over it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

__all__ = ["Ending", "Limits", "Reason", "Watch", "descendants", "kill_descendants"]

MEMORY_PERIOD = 0.1
"""Seconds between two looks at the memory."""

_LISTS_CHILDREN = Path("/proc/thread-self/children").exists()
"""Otherwise every process of the machine must be asked for its parent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker and everything that it starts may use; None means no limit.

    Attributes:
        seconds: Wall time.
        memory_mib: Resident memory that is not a copy of a file (anonymous and shared), of all
            processes together. Pages of mapped files do not count: the kernel takes them back
            when it needs them.
        file_mib: The size of any one file that is written.
    """

    seconds: float | None = None
    memory_mib: int | None = None
    file_mib: int | None = None


class Reason(StrEnum):
    """Why a worker ended."""

    DONE = "done"
    EXIT = "exit"
    SIGNAL = "signal"
    DEADLINE = "deadline"
    MEMORY = "memory"
    FILE_SIZE = "file size"
    STOPPED = "stopped"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended.

    Attributes:
        reason: Why.
        code: Its exit code; minus the signal that killed it, as `subprocess` has it.
        seconds: Wall time from the fork on.
        cpu_seconds: Processor time, its descendants' that it waited for included.
        peak_mib: The most memory that was seen in use, counted as in `Limits`; None if it
            ended before the first look.
    """

    reason: Reason
    code: int
    seconds: float
    cpu_seconds: float
    peak_mib: float | None

    @property
    def text(self) -> str:
        """One clause for an error message."""
        if self.reason is Reason.SIGNAL:
            name = signal.Signals(-self.code).name if -self.code in set(signal.Signals) else "?"
            hint = " (out of memory?)" if -self.code == signal.SIGKILL else ""
            return f"killed by signal {-self.code}, {name}{hint}"
        texts = {
            Reason.DONE: "it ended well",
            Reason.EXIT: f"exit code {self.code}",
            Reason.DEADLINE: f"killed at its deadline, after {self.seconds:.1f} s",
            Reason.MEMORY: f"killed for its memory, {self.peak_mib or 0:.0f} MiB",
            Reason.FILE_SIZE: "killed for the size of a file that it wrote",
            Reason.STOPPED: "stopped from outside",
            Reason.ABANDONED: "stopped because the process that it worked for is gone",
        }
        return texts[self.reason]


class Watch:
    """Looks at all processes below one; asking it is what makes it look.

    Args:
        pid: The process above them, itself not counted.
        limits: What they may use, from now on.
    """

    def __init__(self, pid: int, limits: Limits) -> None:
        self.pid = pid
        self.limits = limits
        self.peak_mib: float | None = None
        self._began = time.monotonic()
        self._looked = float("-inf")

    @property
    def seconds(self) -> float:
        """Wall time since the beginning."""
        return time.monotonic() - self._began

    def check(self) -> Reason | None:
        """DEADLINE or MEMORY once a limit is passed; ask several times a second."""
        if self.limits.seconds is not None and self.seconds > self.limits.seconds:
            return Reason.DEADLINE
        now = time.monotonic()
        if now - self._looked < MEMORY_PERIOD:
            return None
        self._looked = now
        return self._look()

    def _look(self) -> Reason | None:
        cap = self.limits.memory_mib
        pids = descendants(self.pid)
        used = sum(map(_memory_mib, pids))
        if cap is not None and used > cap and len(pids) > 1:
            # Pages that a fork shares with its parent were counted for both. The exact figure
            # takes the kernel long, so it is asked for only now.
            used = sum(map(_own_share_mib, pids))
        self.peak_mib = max(used, self.peak_mib or 0.0)
        return Reason.MEMORY if cap is not None and used > cap else None


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, parents before children."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = list(_children(waiting.pop()))
        found += children
        waiting += children
    return found


def kill_descendants(pid: int) -> bool:
    """Kills all below `pid` at once; True if there were any. Repeat until there are none."""
    found = descendants(pid)
    for child in found:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return bool(found)


def _children(pid: int) -> Iterator[int]:
    try:
        if not _LISTS_CHILDREN:
            yield from (child.pid for child in psutil.Process(pid).children())
            return
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_bytes().split())
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        # It ended meanwhile; so have its children, or they are another's now.
        return


def _memory_mib(pid: int) -> float:
    return _sum_kib(pid, "status", (b"RssAnon:", b"RssShmem:")) / 1024


def _own_share_mib(pid: int) -> float:
    return _sum_kib(pid, "smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:")) / 1024


def _sum_kib(pid: int, name: str, wanted: tuple[bytes, ...]) -> int:
    try:
        lines = Path(f"/proc/{pid}/{name}").read_bytes().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(wanted))
