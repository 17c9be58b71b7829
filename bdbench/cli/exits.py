"""The exit codes, as `bdbench --help` and docs/suites.md explain them."""

from __future__ import annotations

import enum

__all__ = ["Exit"]


class Exit(enum.IntEnum):
    """How a command ends."""

    OK = 0
    SOME_CELLS_FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    BAD_INPUT = 4
    NOTHING_TO_RUN = 5
    CHECK_FAILED = 6
