"""Boxes with walls: each component acts in a process that sees only its box."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bdbench.engine.box import BoxError, Session
from bdbench.engine.component import Component, result_of
from bdbench.engine.numerics import settle
from bdbench.execution.parent import connect
from bdbench.execution.sandbox.confine import run_confined
from bdbench.execution.sandbox.jail import Jail
from bdbench.execution.sandbox.kinds import Isolation
from bdbench.execution.sandbox.limits import Limits
from bdbench.host.catalog import Host
from bdbench.suite.load import suite_files

__all__ = ["ConfinedBoxes", "act"]

MOST_BYTES = 64 * 2**20
"""Of one answer: what a component says is held in memory before it is looked at."""

USED = ("cpu_seconds", "peak_memory_mib")
"""What the kernel counts of a component and of all that it started."""


class ConfinedBoxes:
    """Has a process forked from the warm parent for each component.

    Args:
        address: Where the warm parent listens.
        isolation: The kind of walls.
        masked: What no component may see, even below what it can read.
        seconds: How long a component may take.
        memory_mib: How much memory it may use.
        file_mib: How large a file it may write.
        device: The accelerator that it may use, as CUDA names it; None for all or none.
    """

    def __init__(
        self,
        *,
        address: str,
        isolation: str,
        masked: Sequence[str],
        seconds: float | None,
        memory_mib: int | None,
        file_mib: int | None,
        device: str | None = None,
    ) -> None:
        self.isolation = isolation
        self._address = address
        self._masked = list(masked)
        self._device = device
        self._limits = {"seconds": seconds, "memory_mib": memory_mib, "file_mib": file_mib}

    @contextmanager
    def open(self, folder: Path, readable: Sequence[Path]) -> Iterator[Session]:
        """A process that sees a box."""
        wanted = {
            "do": "act",
            "folder": str(folder),
            "isolation": self.isolation,
            "readable": [str(path.absolute()) for path in readable],
            "masked": self._masked,
            "limits": self._limits,
            "device": self._device,
        }
        with connect(self._address, wanted) as connection:
            session = _Walled(connection, folder)
            try:
                yield session
            finally:
                session.end()


class _Walled:
    def __init__(self, connection: Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self.used: Mapping[str, float] = {}

    def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        ended: Mapping[str, Any] = {}
        try:
            self._connection.send_bytes(json.dumps(question).encode())
            answer = self._connection.recv_bytes(MOST_BYTES)
            found = json.loads(answer, parse_constant=_refuse)
            if "ended" not in found:
                return result_of(found)
            self._note(answer)
            ended = found
        except (EOFError, OSError, ValueError) as error:
            ended = {"why": f"no answer that can be read: {error}"}
        raise BoxError(
            {
                "type": "Crash",
                "what": "a component's process ended without an answer",
                "where": str(question["setting"]["part"]["label"]),
                "found": str(ended.get("why") or f"exit code {ended.get('ended')}"),
                "expected": "an answer",
                "next": "look at what it printed, below" if self._log() else "give it more room",
                "traceback": self._log(),
            }
        )

    def end(self) -> None:
        # The other side reads an end, and goes; so does who keeps it, once nothing is left below
        # him; then the warm parent closes the line.
        with contextlib.suppress(EOFError, OSError):
            with socket.socket(fileno=os.dup(self._connection.fileno())) as line:
                line.shutdown(socket.SHUT_WR)
            while True:
                self._note(self._connection.recv_bytes(MOST_BYTES))

    def _note(self, message: bytes) -> None:
        """Keeps what was used. The last word on it is said when no process of its is left."""
        with contextlib.suppress(ValueError, TypeError, KeyError):
            used = json.loads(message, parse_constant=_refuse)["used"]
            self.used = {name: float(used[name]) for name in USED if name in used}

    def _log(self) -> str:
        path = self._folder / "log"
        return path.read_text("utf-8", errors="replace")[-10_000:] if path.is_file() else ""


def _refuse(constant: str) -> None:
    """NaN and infinities, which Python reads as JSON although they are none."""
    raise ValueError(f"it answered {constant}")


def act(
    connection: Connection,
    host: Host,
    *,
    folder: str,
    isolation: str,
    readable: Sequence[str],
    masked: Sequence[str],
    limits: Mapping[str, Any],
    device: str | None,
) -> int:
    """In a child of the warm parent: puts up the walls and lets a component act behind them.

    Args:
        connection: To the worker that asks.
        host: Brings the component.
        folder: The box.
        isolation: The kind of walls.
        readable: What may be read besides.
        masked: What stays invisible even below what is readable.
        limits: What it may use.
        device: The accelerator that it may use; None for all or none.

    Returns:
        The exit code.
    """
    kind = Isolation(isolation)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    # Suites that plugins bring name triggers, as the host's own do.
    hidden = (*map(Path, masked), *suite_files(host))
    jail = Jail(Path(folder), tuple(map(Path, readable)), hidden)

    def serve(box: Path) -> None:
        settle()
        component = Component(box, host)
        while True:
            try:
                question = json.loads(connection.recv_bytes())
            except EOFError:
                return
            connection.send_bytes(json.dumps(component.answer(question)).encode())

    line = connection.fileno()
    ending = run_confined(kind, jail, serve, Limits(**limits), keep=(line,), lifeline=line)
    used = {"cpu_seconds": round(ending.cpu_seconds, 3)}
    if ending.peak_mib is not None:
        used["peak_memory_mib"] = round(ending.peak_mib, 1)
    why = {"why": ending.text} if ending.code else {}
    with contextlib.suppress(OSError):  # nobody is left to hear it
        connection.send_bytes(json.dumps({"ended": ending.code, **why, "used": used}).encode())
    return 0
