"""Follows one run: spools its results and keeps a publisher beside it.

Nothing here imports MLflow: that happens in the publisher's process, and only if there is
something to publish.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bdbench.home import Home
from bdbench.tracking.destination import resolve_destination
from bdbench.tracking.spool import Spool, key_of

__all__ = ["RunObserver"]

PUBLISHED = {"success", "failed"}
LEADERBOARD = ("leaderboard.html", "leaderboard.md", "leaderboard.json")
"""In the order in which people would like to see them."""
DRAIN_SECONDS = 20.0
STARTS = 3
LOG_BYTES = 1_000_000


class RunObserver:
    """The tracking of one run.

    Args:
        run_id: The run's name.
        suite: The suite's name.
        home: The folder that everything lives under.
    """

    def __init__(self, run_id: str, suite: str, home: Path) -> None:
        self._run_id = run_id
        self._suite = suite
        self._home = Home(home.absolute())
        self._destination = resolve_destination(self._home)
        self._spool = Spool(self._home, self._destination)
        self._log = self._home.spool / "publisher.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def started(self, *, has_work: bool) -> None:
        """The run starts.

        Args:
            has_work: Whether cells will be computed. If so the publisher gets ready meanwhile;
                if not, it is needed only for what an earlier run left.
        """
        self._spool.forget_lost_database()
        if has_work:
            body = {"status": "started", "files": {}}
            self._put_run(body, f"started {self._run_id}")
        if self._spool.pending():
            self._keep_publishing()

    def finished_cell(self, record: Mapping[str, Any]) -> None:
        """A cell has its record.

        Successes and failures become runs. What is incompatible or skipped never ran: it has
        no measurement to show, and the leaderboard says why it is missing.
        """
        if record["status"] not in PUBLISHED:
            return
        suite = str(record["suite"])
        key = key_of("cell", suite, str(record["cell_id"]))
        if self._spool.put("cell", key, record, suite=suite, run_id=self._run_id):
            self._keep_publishing()

    def finished(self, status: str) -> str:
        """The run is over: tells the publisher, and lets it empty the spool for a while.

        Args:
            status: ``finished`` or ``interrupted``. Who interrupts does not want to wait.

        Returns:
            A line for the user if results still wait to be published, else an empty text.
        """
        # The leaderboard of a suite in MLflow is that of its newest whole run.
        files = self._leaderboard() if status == "finished" else {}
        said = json.dumps([status, self._compared()], sort_keys=True)
        self._put_run({"status": status, "files": files}, _digest(said))
        if self._spool.pending():
            self._keep_publishing()
        process, self._process = self._process, None
        if process is None:
            return ""
        self._tell(process)
        deadline = time.monotonic() + (DRAIN_SECONDS if status == "finished" else 0.0)
        while self._spool.pending() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        left = len(self._spool.pending())
        if not left:
            return ""
        return (
            f"bdbench: {left} results are not in MLflow yet ({self._destination.shown}). They are "
            f"safe in {self._home.spool}; the next run or `bdbench ui` publishes them. What "
            f"happened is in {self._log}."
        )

    @staticmethod
    def _tell(process: subprocess.Popen[bytes]) -> None:
        """Tells the publisher that no more items are to come."""
        pipe = process.stdin
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # it is gone already
                # Workers forked meanwhile may hold the pipe open, so closing it is not enough.
                pipe.write(b"over\n")
            pipe.close()

    def _leaderboard(self) -> dict[str, str]:
        """Its files by name; none if the run had only some cells of the suite."""
        if self._compared().get("partial"):
            return {}
        folder = self._home.runs / self._run_id
        found = {name: folder / name for name in LEADERBOARD}
        return {name: path.read_text("utf-8") for name, path in found.items() if path.is_file()}

    def _compared(self) -> dict[str, Any]:
        """What the run came to, without which run it was and when: what is new if it differs."""
        path = self._home.runs / self._run_id / "leaderboard.json"
        comparison: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        return {key: value for key, value in comparison.items() if key not in {"run_id", "created"}}

    def _put_run(self, body: Mapping[str, Any], digest: str) -> None:
        key = key_of("run", self._suite)
        self._spool.put("run", key, body, suite=self._suite, run_id=self._run_id, digest=digest)

    def _keep_publishing(self) -> None:
        """Starts a publisher unless one of ours is at work; a few times at most."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._starts == STARTS:
            return
        self._starts += 1
        command = [sys.executable, "-P", "-m", "bdbench.tracking.publisher"]
        command += [str(self._home.path), "--parent", str(os.getpid())]
        full = self._log.exists() and self._log.stat().st_size > LOG_BYTES
        with self._log.open("wb" if full else "ab") as output:
            # Its own session: it survives Ctrl-C, and ends by itself when this process is gone.
            self._process = subprocess.Popen(  # noqa: S603 -- our own module
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                bufsize=0,
                start_new_session=True,
            )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
