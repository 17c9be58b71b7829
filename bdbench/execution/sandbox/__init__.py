"""Keeping a worker apart: its own view of files, processes and network, and limits.

`available` says what this machine can do, `run_confined` does it.
"""

from bdbench.execution.sandbox.confine import run_confined
from bdbench.execution.sandbox.jail import Jail
from bdbench.execution.sandbox.kinds import Capability, Isolation, available
from bdbench.execution.sandbox.limits import Ending, Limits, Reason, Watch

__all__ = [
    "Capability",
    "Ending",
    "Isolation",
    "Jail",
    "Limits",
    "Reason",
    "Watch",
    "available",
    "run_confined",
]
