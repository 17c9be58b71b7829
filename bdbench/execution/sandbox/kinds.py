"""How well a worker can be kept apart, and how well this machine can do it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Capability", "Isolation", "available"]

PROBE_SECONDS = 60


class Isolation(StrEnum):
    """What keeps a worker from what it is not given; ``a < b`` if `a` is weaker."""

    NAMESPACE = "namespace"
    """Its own view of files, processes and network: what it is not given does not exist."""
    LANDLOCK = "landlock"
    """The kernel refuses to open what it is not given; sockets and other processes likewise."""
    PROCESS = "process"
    """A process of its own with its own environment and limits; it can open any file."""
    NONE = "none"
    """It runs in the process that asks."""

    @property
    def strength(self) -> int:
        """0 for none, more for stronger kinds."""
        return len(Isolation) - 1 - list(Isolation).index(self)

    # All four, and not functools.total_ordering: a str has them already.
    def __lt__(self, other: str) -> bool:
        return self.strength < Isolation(other).strength

    def __le__(self, other: str) -> bool:
        return self.strength <= Isolation(other).strength

    def __gt__(self, other: str) -> bool:
        return self.strength > Isolation(other).strength

    def __ge__(self, other: str) -> bool:
        return self.strength >= Isolation(other).strength


@dataclass(frozen=True, slots=True)
class Capability:
    """What this machine can do.

    Attributes:
        strongest: The strongest kind that works here.
        refused: For each kind that does not work here, why not.
    """

    strongest: Isolation
    refused: Mapping[Isolation, str] = field(default_factory=dict)

    def can(self, kind: Isolation) -> bool:
        """Whether workers of this kind can be started here."""
        return kind not in self.refused


@functools.cache
def available() -> Capability:
    """Tries each kind in a short-lived process of its own; once per process, some 0.3 s.

    A process of its own, since the one that asks may have threads, and only a process with one
    thread may enter a user namespace.
    """
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "bdbench.execution.sandbox.probe"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=True,
        )
        refused = {Isolation(kind): why for kind, why in json.loads(ended.stdout).items() if why}
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        detail = getattr(error, "stderr", b"") or b""
        last = detail.decode("utf-8", "replace").strip().splitlines()[-1:] or [str(error)]
        refused = dict.fromkeys(
            (Isolation.NAMESPACE, Isolation.LANDLOCK), f"the trial did not end well: {last[0]}"
        )
    # A separate process is what the trial itself was.
    strongest = max(kind for kind in Isolation if kind not in refused)
    return Capability(strongest, refused)
