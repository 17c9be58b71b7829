"""One worker process: makes one stage and ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

__all__ = ["work"]


def work(
    connection: Connection,
    home: Path,
    document: Mapping[str, Any],
    disabled: tuple[str, ...],
    device: str | None,
) -> None:
    """Makes a stage and sends ``(seconds, error or None)``.

    Args:
        connection: To the main process; its end there means that this process should end too.
        home: The folder that everything lives under.
        document: The stage.
        disabled: Plugins not to import.
        device: The CUDA device to use; None for the CPU.
    """
    # Ctrl-C reaches the whole group; only the main process decides what to do then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _redirect_output(home / "logs" / f"{document['kind']}-{document['key'][:16]}.log")
    if device is not None:
        # The warm parent has imported torch, but has not touched CUDA: this is still in time.
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    started = time.perf_counter()

    from bdbench.engine.stages import run_stage  # noqa: PLC0415 -- after output is redirected
    from bdbench.home import Home  # noqa: PLC0415
    from bdbench.host.catalog import Host  # noqa: PLC0415
    from bdbench.store.objects import Store  # noqa: PLC0415

    error = run_stage(document, Store(Home(home).store), Host(disabled=disabled))
    connection.send((time.perf_counter() - started, error))
    # Everything is written and told; taking torch apart in order would take longer than most
    # stages do.
    os._exit(0)


def _redirect_output(path: Path) -> None:
    """What libraries print would tear the live view; it is kept for `--debug` instead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _end_with_parent(connection: Connection) -> None:
    try:
        connection.recv()
    except (EOFError, OSError):
        # Not sys.exit: that would end this thread only.
        os._exit(1)
