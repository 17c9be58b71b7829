"""The MLflow server over a home's own database, on this machine only, with nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bdbench.api.errors import InputError
from bdbench.home import Home
from bdbench.tracking.content import PAGE
from bdbench.tracking.destination import own_database
from bdbench.tracking.names import one_line
from bdbench.tracking.view import leaderboard_path, view_path

__all__ = ["HOST", "choose_port", "links", "serve"]

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 5.0


def choose_port(wanted: int, *, must: bool) -> int:
    """A free port: the wanted one, or another if that is taken and need not be it.

    Raises:
        InputError: If the wanted one is taken and must be it.
    """
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As servers do: a connection that has just ended does not keep a port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if must:
                    raise InputError(
                        "the port cannot be used",
                        where=f"--port {port}",
                        found=error.strerror or str(error),
                        next="give another port, or none to have a free one chosen",
                    ) from error
            else:
                chosen: int = probe.getsockname()[1]
                return chosen
    raise InputError("no port is free", where=HOST)


@contextlib.contextmanager
def serve(home: Home, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the server as long as the context lasts; it answers when the context begins.

    Raises:
        InputError: If it does not come up.
    """
    log = home.mlflow / "server.log"
    artifacts = home.mlflow / "artifacts"
    command = [sys.executable, "-P", "-m", "mlflow", "server"]
    command += ["--backend-store-uri", f"sqlite:///{own_database(home)}"]
    command += ["--artifacts-destination", artifacts.as_uri()]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- MLflow's own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=home.mlflow,
            env=_environment(),
            process_group=0,
        )
    try:
        _await_answer(process, port, log)
        yield process
    finally:
        _stop(process)


def links(port: int) -> list[tuple[str, str]]:
    """Name and address of what there is to see, from the server on a port."""
    address = f"http://{HOST}:{port}"
    found = []
    query: dict[str, Any] = {"max_results": 1000, "filter": "name LIKE 'bdbench/%'"}
    for experiment in _ask(address, "experiments/search", query).get("experiments", []):
        name, identity = one_line(experiment["name"]), experiment["experiment_id"]
        query = {"experiment_ids": [identity], "filter": "tags.`bdbench.kind` = 'leaderboard'"}
        for run in _ask(address, "runs/search", query).get("runs", []):
            tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
            path = leaderboard_path(identity, run["info"]["run_id"], tags.get(PAGE, ""))
            found.append((f"{name}, leaderboard", address + path))
        found.append((f"{name}, all cells", address + view_path(identity)))
    return sorted(found)


def _ask(address: str, what: str, query: Mapping[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 -- our own address
        f"{address}/api/2.0/mlflow/{what}",
        data=json.dumps(query).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


def _environment() -> dict[str, str]:
    inherited = {name: text for name, text in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return {
        **inherited,
        "PYTHONSAFEPATH": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        # Runs nobody asked for: seven processes and a gigabyte.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    }


def _await_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            url = f"http://{HOST}:{port}/health"
            with urllib.request.urlopen(url, timeout=1):
                return
        time.sleep(0.1)
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    raise InputError(
        "the MLflow server did not start",
        where=str(log),
        found=lines[-1] if lines else "no output",
        next=f"read {log}",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the server and whatever it started: they are one process group."""
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
