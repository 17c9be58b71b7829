"""Publishes what the spool holds, beside the run that fills it.

    python -m bdbench.tracking.publisher HOME [--parent PID]

With `--parent` it goes on until that process writes to or closes its standard input, or is
gone, and then empties the spool and ends. Without, it empties the spool once. Either way it
gives up when MLflow does not answer: the items stay for the next publisher. One publisher at a
time works on a destination; another that comes meanwhile waits for its turn.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bdbench.home import Home
from bdbench.tracking.destination import Destination, resolve_destination
from bdbench.tracking.names import one_line
from bdbench.tracking.spool import Spool
from bdbench.tracking.tracker import Tracker

__all__ = ["Outcome", "Publisher", "drain"]

NICENESS = 10
LOOK_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
PATIENCE_SECONDS = 30.0
"""How long to wait for another publisher of the same destination once the run is over."""
AFTERWARDS_SECONDS = 900
"""How long a publisher may outlive the run that started it, whatever happens."""
FAILURES_IN_A_ROW = 3
FRUITLESS_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of publishing.

    Attributes:
        published: How many items were published.
        left: How many still wait.
        error: The last error, on one line; empty if there was none.
    """

    published: int
    left: int
    error: str = ""


class Publisher:
    """Empties the spool of one home into one destination.

    Args:
        home: The home.
        destination: Where to.
    """

    def __init__(self, home: Home, destination: Destination) -> None:
        self._destination = destination
        self._spool = Spool(home, destination)
        self._tracker = Tracker(home, destination)
        self._lock = FileLock(home.spool / f"publisher-{destination.name}.lock")
        self._failures: Counter[str] = Counter()
        self._published = 0
        self._error = ""

    def follow(self, wait: Callable[[float], bool]) -> Outcome:
        """Publishes what comes until it is over and the spool is empty, or nothing gets through.

        Args:
            wait: Waits for up to the given number of seconds and says whether it is over: no
                more items are to come.
        """
        fruitless, over, deadline = 0, False, 0.0
        try:
            while True:
                pause = LOOK_SECONDS
                waiting = self._spool.pending()
                if waiting and self._has_turn():
                    fruitless = 0 if self._round(waiting) else fruitless + 1
                    pause = min(2.0 ** min(fruitless, 10) - 1, LONGEST_PAUSE_SECONDS)
                    deadline = 0.0
                if over and self._is_enough(fruitless, deadline):
                    return Outcome(self._published, len(self._spool.pending()), self._error)
                if over:
                    time.sleep(min(pause, 1.0))
                elif over := wait(pause):
                    deadline = time.monotonic() + PATIENCE_SECONDS
        finally:
            self._lock.release()

    def _is_enough(self, fruitless: int, deadline: float) -> bool:
        if not self._spool.pending() or fruitless >= FRUITLESS_ROUNDS:
            return True
        return bool(deadline) and time.monotonic() > deadline

    def _has_turn(self) -> bool:
        """Whether this is the publisher that works; becomes it if the place is free."""
        if not self._lock.is_locked:
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                return False
        return True

    def _round(self, waiting: list[Path]) -> bool:
        """Tries what waits, least failed first, until several fail in a row.

        Returns:
            Whether anything got through.
        """
        through = in_a_row = 0
        for path in sorted(waiting, key=lambda path: self._failures[path.name]):
            if self._publish(path):
                through, in_a_row = through + 1, 0
            else:
                self._failures[path.name] += 1
                in_a_row += 1
                if in_a_row == FAILURES_IN_A_ROW:
                    break
        return through > 0

    def _publish(self, path: Path) -> bool:
        try:
            item = self._spool.read(path)
        except FileNotFoundError:
            return True  # a newer item took its place meanwhile
        except ValueError as error:
            self._note(error)
            return False
        try:
            tracked = self._tracker.publish(item)
        # Whatever the server, its client or a malformed record brings up, the item stays.
        except Exception as error:  # noqa: BLE001
            self._note(error)
            return False
        self._spool.done(path, item, tracked)
        self._published += 1
        return True

    def _note(self, error: Exception) -> None:
        """Logs an error, in full if it is not the last one again, without secrets."""
        text = one_line(self._without_secrets(f"{type(error).__name__}: {error}"), 300)
        if text != self._error:
            _log(self._without_secrets("".join(traceback.format_exception(error))))
        self._error = text

    def _without_secrets(self, text: str) -> str:
        return text.replace(self._destination.uri, self._destination.shown)


def drain(home: Path) -> Outcome:
    """Publishes everything that waits in a home, or gives up when nothing gets through."""
    place = Home(home)
    return Publisher(place, resolve_destination(place)).follow(lambda _: True)


def _until_over(parent: int) -> Callable[[float], bool]:
    def wait(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            told = select.select([sys.stdin], [], [], min(left, LOOK_SECONDS))[0]
            if told or os.getppid() != parent:
                signal.alarm(AFTERWARDS_SECONDS)
                return True
            if not left:
                return False

    return wait


def _log(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text.rstrip()}\n")
    sys.stderr.flush()


def main(arguments: list[str] | None = None) -> int:
    """The command; returns 0 if nothing is left to publish."""
    parser = argparse.ArgumentParser(prog="python -m bdbench.tracking.publisher")
    parser.add_argument("home", type=Path, help="folder that everything lives under")
    parser.add_argument("--parent", type=int, help="process to publish beside")
    options = parser.parse_args(arguments)
    if options.parent is None:
        outcome = drain(options.home)
    else:
        os.nice(NICENESS)  # a result is worth more than its picture
        home = Home(options.home)
        publisher = Publisher(home, resolve_destination(home))
        outcome = publisher.follow(_until_over(options.parent))
    error = f" ({outcome.error})" if outcome.left else ""
    _log(f"published {outcome.published}, left {outcome.left}{error}")
    return 1 if outcome.left else 0


if __name__ == "__main__":
    sys.exit(main())
