"""One worker: makes one stage and ends. It is the host's, and sees the store."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bdbench.engine.stages import run_stage
from bdbench.execution.confined import ConfinedBoxes
from bdbench.home import Home
from bdbench.host.catalog import Host
from bdbench.store.objects import Store

__all__ = ["work"]


def work(
    connection: Connection,
    host: Host,
    *,
    home: str,
    document: Mapping[str, Any],
    environment: Mapping[str, str],
    boxes: Mapping[str, Any],
) -> int:
    """Makes a stage and sends ``{"seconds": ..., "error": ... or None}``.

    Args:
        connection: To the main process; its end there means that this process should end too.
        host: Brings the components.
        home: The folder that everything lives under.
        document: The stage.
        environment: The main process's.
        boxes: How components are kept apart: the arguments of `ConfinedBoxes`.

    Returns:
        The exit code.
    """
    place = Home(Path(home))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    _redirect_output(place.logs / f"{document['kind']}-{document['key'][:16]}.log")
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    started = time.perf_counter()
    error = run_stage(document, Store(place.store), host, ConfinedBoxes(**boxes))
    answer = {"seconds": time.perf_counter() - started, "error": error}
    connection.send_bytes(json.dumps(answer).encode())
    return 0


def _redirect_output(path: Path) -> None:
    """What libraries print would tear the live view; it is kept in the home's logs instead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _end_with_parent(connection: Connection) -> None:
    try:
        connection.recv_bytes()
    except (EOFError, OSError):
        # Not sys.exit: that would end this thread only.
        os._exit(1)
