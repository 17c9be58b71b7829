"""The main process's handle on the warm parent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bdbench.api.errors import BdbenchError
from bdbench.execution.sandbox.environment import clean_environment
from bdbench.host.plugins import disabled_names

__all__ = ["WarmParent", "connect"]

PASSED = ("HF_", "TRANSFORMERS_", "XDG_")
"""What libraries read once, at their import: where caches are, whether to go online."""
SECRET = ("TOKEN", "KEY", "PASSWORD", "SECRET")


class WarmParent:
    """Starts the warm parent, and ends it with all its workers.

    It is started with a clean environment and without arguments that tell anything, in the
    root folder: what a process was launched with, its children can read.
    """

    def __init__(self) -> None:
        # A name as short as they come: the path of a socket has at most some 100 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="bdb-", dir=_short_folder())
        self.address = str(Path(self._folder.name) / "warm")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            listener.listen(1024)
            self._lifeline, theirs = socket.socketpair()
            with theirs:
                descriptors = [listener.fileno(), theirs.fileno()]
                self._process = subprocess.Popen(  # noqa: S603 -- our own module
                    [sys.executable, "-m", "bdbench.execution.warm", *map(str, descriptors)],
                    pass_fds=descriptors,
                    stdin=subprocess.DEVNULL,
                    env=_environment(),
                    cwd="/",
                )

    def stop(self) -> None:
        """Ends it and all that it forked, at once."""
        self._lifeline.close()
        self._process.wait()
        self._folder.cleanup()


def connect(address: str, wanted: Mapping[str, Any]) -> Connection:
    """Has a child forked; the connection leads to it.

    Args:
        address: Where the warm parent listens.
        wanted: What the child is to do, as plain data.

    Raises:
        BdbenchError: There is no warm parent any more.
    """
    with socket.socket(socket.AF_UNIX) as ours:
        try:
            ours.connect(address)
            connection = Connection(ours.detach())
            connection.send_bytes(json.dumps(wanted).encode())
        except OSError as error:
            raise BdbenchError(
                "the process from which all workers are forked is gone",
                where="local executor",
                found=error.strerror or str(error),
                expected="a process that listens",
                next="see what it printed above; the same command continues",
            ) from error
        return connection


def _short_folder() -> str | None:
    """Where the socket's folder can be, if the usual place is too long a name for it."""
    longest = 107 - len("/bdb-12345678/warm")
    return "/tmp" if len(os.fsencode(tempfile.gettempdir())) > longest else None  # noqa: S108


def _environment() -> dict[str, str]:
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED) and not any(word in name for word in SECRET)
    }
    offline = {name for name in clean_environment({}) if name.endswith("OFFLINE")}
    kept = {
        name: value for name, value in clean_environment(os.environ).items() if name not in offline
    }
    home = {"HOME": os.environ.get("HOME", "/")}
    # Python would otherwise import whatever in the current folder bears the name of a package.
    paths = {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    disabled = {"BDBENCH_DISABLE_PLUGINS": ",".join(disabled_names())}
    return {**kept, **passed, **home, **paths, **disabled}
