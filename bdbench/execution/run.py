"""One run: plan, stages, records, and the comparison at the end."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bdbench.api import CellEvent, Executor, PlanBuilt, RunEvent, StageEvent, StoreError
from bdbench.execution.scheduler import run_stages
from bdbench.home import Home
from bdbench.host.catalog import Host
from bdbench.host.lock import make_lock
from bdbench.host.registry import load_registry
from bdbench.results.collect import collect_record
from bdbench.results.comparison import compare
from bdbench.results.records import CellRecord
from bdbench.results.runs import write_run
from bdbench.store.objects import CorruptObjectError, Store
from bdbench.suite.plan import Cell, Plan

__all__ = ["RunResult", "run_plan"]

ROUNDS = 3
"""How often stages are computed anew whose objects turn out to be damaged."""


@dataclass(slots=True)
class RunResult:
    """What became of a run.

    Attributes:
        run_id: Its name.
        folder: Where its records are.
        records: One for each cell, in the order of the suite.
        errors: The errors of failed stages, by key.
        warnings: What went wrong without changing a result, such as an observer's failure.
        interrupted: Whether it was stopped before its end.
        computed: How many stages were computed, the rest being there already.
    """

    run_id: str
    folder: Path
    records: list[CellRecord] = field(default_factory=list)
    errors: dict[str, Mapping[str, str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    computed: int = 0


class _Run:
    def __init__(
        self,
        plan: Plan,
        host: Host,
        home: Home,
        executor: Executor,
        watch: Callable[[StageEvent], None],
    ) -> None:
        self.plan = plan
        self.host = host
        self.home = home
        self.executor = executor
        self.watch = watch
        self.store = Store(home.store)
        run_id = (
            f"{time.strftime('%Y%m%d-%H%M%S')}-{plan.resolved.suite.name}-{secrets.token_hex(2)}"
        )
        # What took part is known before anything is computed; later it could only be lost.
        resolved = plan.resolved
        lock = make_lock(resolved.suite.name, resolved.components(), load_registry())
        self.lock = lock.model_dump(mode="json", by_alias=True)
        self.result = RunResult(run_id, home.runs / run_id)
        self.records: dict[int, CellRecord] = {}
        self.cells_of: dict[str, list[int]] = {}
        for index, cell in enumerate(plan.cells):
            if not cell.reason:
                self.cells_of.setdefault(cell.stages["scores"], []).append(index)

    def go(self) -> RunResult:
        self.store.sweep()
        stored = self.store.keys()
        missing = self.plan.missing(stored)
        self._announce(stored, missing)
        failure: Exception | None = None
        try:
            self._compute(missing)
        except KeyboardInterrupt:
            self.result.interrupted = True
        except Exception as error:  # noqa: BLE001 -- raised again below
            self.result.interrupted = True
            failure = error
        finally:
            self.executor.stop()
        if failure is None or self.result.computed:
            # What was finished before an executor failed is shown like any other result.
            self._finish()
        if failure is not None:
            raise failure
        return self.result

    def _announce(self, stored: set[str], missing: Mapping[str, Any]) -> None:
        kinds: dict[str, int] = {}
        for stage in missing.values():
            kinds[stage.kind] = kinds.get(stage.kind, 0) + 1
        name = self.plan.resolved.suite.name
        cells = dict(self.plan.count_cells(stored))
        self._tell("bdbench_plan_built", PlanBuilt(name, cells, kinds))
        self._tell("bdbench_run_started", self._run_event("started"))

    def _compute(self, missing: Mapping[str, Any]) -> None:
        """Rounds of computing what is missing: a damaged object shows only when it is read."""
        started = False
        for _ in range(ROUNDS):
            if missing and not started:
                self.executor.start(self.home.path)
                started = True
            # What failed in an earlier round may come out well in this.
            self.result.errors = {}
            run_stages(missing, self.executor, self.home.path, self._on_stage)
            self._collect_rest()
            again = self.plan.missing(self.store.keys())
            damaged = any(
                error["type"] == CorruptObjectError.__name__
                for error in self.result.errors.values()
            )
            if not again or not (damaged or set(again) - set(missing)):
                return
            missing = again

    def _on_stage(self, event: StageEvent) -> None:
        self.watch(event)
        self._tell("bdbench_stage_changed", event)
        if event.error:
            # Kept at once: what comes after may be interrupted.
            self.result.errors[event.key] = event.error
        if event.status == "finished":
            self.result.computed += 1
            if event.kind == "scores":
                self._collect(event.key)

    def _collect(self, scores_key: str) -> None:
        for index in self.cells_of[scores_key]:
            try:
                record = collect_record(self.plan, self.plan.cells[index], self.store, {})
            except CorruptObjectError:
                # In quarantine now; the next round computes it again.
                continue
            # What the scores rest on may have been lost, and is being made again.
            if record.status == "success":
                self._settle(index, record)

    def _collect_rest(self) -> None:
        for key, indices in self.cells_of.items():
            if self.store.contains(key) and indices[0] not in self.records:
                self._collect(key)

    def _settle(self, index: int, record: CellRecord) -> None:
        self.records[index] = record
        event = CellEvent(self.result.run_id, self.home.path, record.model_dump(mode="json"))
        self._tell("bdbench_cell_finished", event)

    def _finish(self) -> None:
        for index, cell in enumerate(self.plan.cells):
            if index not in self.records:
                self._settle(index, self._failure(cell))
        self.result.records = [self.records[index] for index in range(len(self.plan.cells))]
        comparison = compare(
            self.result.records,
            self.plan.resolved,
            self.result.run_id,
            store=self.store,
            partial=self.plan.partial,
        )
        status = "interrupted" if self.result.interrupted else "finished"
        write_run(
            self.result.folder,
            self.result.records,
            comparison,
            {
                "run_id": self.result.run_id,
                "suite": self.plan.resolved.suite.name,
                "status": status,
                "finished": time.time(),
                "document": self.plan.resolved.document(),
                "lock": self.lock,
                "warnings": self.result.warnings,
            },
        )
        self._tell("bdbench_run_finished", self._run_event(status))

    def _failure(self, cell: Cell) -> CellRecord:
        while True:
            try:
                return collect_record(self.plan, cell, self.store, self.result.errors)
            except CorruptObjectError:
                # In quarantine now, so that it is not read again: the cell has no result.
                continue

    def _run_event(self, status: str) -> RunEvent:
        name = self.plan.resolved.suite.name
        document = self.plan.resolved.document()
        return RunEvent(self.result.run_id, name, self.home.path, status, document)

    def _tell(self, hook_name: str, event: Any) -> None:
        self.result.warnings += self.host.notify(hook_name, event)


def run_plan(
    plan: Plan,
    host: Host,
    home: Home,
    executor: Executor,
    watch: Callable[[StageEvent], None] = lambda _: None,
) -> RunResult:
    """Computes what is missing of a plan and writes the run down.

    Args:
        plan: What is wanted.
        host: Brings the components and tells the observers.
        home: The folder that everything lives under.
        executor: Runs the stages.
        watch: Told of every stage, for the live view.

    Raises:
        StoreError: The home cannot be written to.
        Exception: Whatever the executor failed with. If anything was computed, the run is
            written down first, the rest of its cells skipped.
    """
    _check_writable(home)
    return _Run(plan, host, home, executor, watch).go()


def _check_writable(home: Home) -> None:
    """Says so at once, before any work, if results could not be kept."""
    try:
        home.path.mkdir(parents=True, exist_ok=True)
        probe = home.path / f".writable-{os.getpid()}"
        probe.write_text("", "utf-8")
        probe.unlink()
    except OSError as error:
        raise StoreError(
            "the folder for results cannot be written to",
            where=str(home.path),
            found=error.strerror or str(error),
            expected="a folder on a disk with room that this user may write to",
            next="choose another place with --home or BDBENCH_HOME",
        ) from error
