"""MLflow as an ordinary observer of the host. Importing this imports no MLflow."""

from __future__ import annotations

import sys

from bdbench.api import CellEvent, PlanBuilt, RunEvent, hookimpl
from bdbench.tracking.observer import RunObserver

__all__: list[str] = []

_OBSERVERS: dict[str, RunObserver] = {}
_WORK: dict[str, int] = {}


@hookimpl
def bdbench_plan_built(event: PlanBuilt) -> None:
    """Remembers how many cells of a suite will be computed."""
    _WORK[event.suite] = event.cells.get("to run", 0)


@hookimpl
def bdbench_run_started(event: RunEvent) -> None:
    """Gets the publisher ready if there is, or will be, something to publish."""
    observer = RunObserver(event.run_id, event.suite, event.home)
    _OBSERVERS[event.run_id] = observer
    observer.started(has_work=_WORK.pop(event.suite, 0) > 0)


@hookimpl
def bdbench_cell_finished(event: CellEvent) -> None:
    """Spools a cell's record."""
    observer = _OBSERVERS.get(event.run_id)
    if observer is None:
        observer = RunObserver(event.run_id, str(event.record["suite"]), event.home)
        _OBSERVERS[event.run_id] = observer
    observer.finished_cell(event.record)


@hookimpl
def bdbench_run_finished(event: RunEvent) -> None:
    """Spools the leaderboard and waits a little for the publisher."""
    observer = _OBSERVERS.pop(event.run_id, None)
    if observer is None:
        observer = RunObserver(event.run_id, event.suite, event.home)
    notice = observer.finished(event.status)
    if notice:
        sys.stderr.write(notice + "\n")
