"""Folders for what is half made: gone with who made them, or swept away after their death."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["scratch", "sweep"]

LOCK = ".lock"


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below `parent`, removed at the end with all that is still in it.

    A lock beside it tells `sweep` of other processes that somebody is at work in it.

    Args:
        parent: Made if it is not there.
        prefix: How its name begins; the rest tells nothing.

    Raises:
        OSError: It cannot be made.
    """
    from filelock import FileLock  # noqa: PLC0415 -- only writers need it

    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{prefix}{uuid.uuid4().hex[:12]}"
    beside = folder.with_name(folder.name + LOCK)
    lock = FileLock(beside)
    lock.acquire()
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        beside.unlink(missing_ok=True)
        lock.release()


def sweep(parent: Path) -> None:
    """Removes the folders that dead processes left: those that nobody holds the lock of."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 -- only writers need it

    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(parent) as entries:
        names = {entry.name.removesuffix(LOCK) for entry in entries}
        for folder in (parent / name for name in names):
            beside = folder.with_name(folder.name + LOCK)
            # Cleaning up is no reason for a run to fail.
            with contextlib.suppress(Timeout, OSError), FileLock(beside, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
                beside.unlink(missing_ok=True)
