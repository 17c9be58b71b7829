"""Runs stages in an order that their inputs allow, the longest way to the end first."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bdbench.api import Executor, StageEvent, StageOutcome, StageTask
from bdbench.suite.plan import Stage

__all__ = ["run_stages"]

WEIGHTS = {"victim": 20.0, "treated": 4.0, "predictions": 2.0}
"""Rough relative lengths; they decide the order only, never a result."""


def run_stages(
    stages: Mapping[str, Stage],
    executor: Executor,
    home: Path,
    notify: Callable[[StageEvent], None],
) -> None:
    """Makes every stage, or says why not.

    Args:
        stages: What is missing, by key; inputs that are not among them are in the store.
        executor: Started already.
        home: The folder that everything lives under.
        notify: Told of every change, so of every error. Stages that needed one that failed
            are not run, and nothing is told of them.
    """
    waiting = {key: {up for up in stage.reads() if up in stages} for key, stage in stages.items()}
    readers: dict[str, list[str]] = defaultdict(list)
    for key, upstream in waiting.items():
        for up in upstream:
            readers[up].append(key)
    priority = _priorities(stages, readers)
    order = {key: index for index, key in enumerate(stages)}
    ready = [(-priority[key], order[key], key) for key, upstream in waiting.items() if not upstream]
    heapq.heapify(ready)
    running = 0
    while ready or running:
        while ready and executor.free > 0:
            stage = stages[heapq.heappop(ready)[2]]
            notify(StageEvent(stage.kind, stage.key, "started", stage.label))
            executor.submit(StageTask(stage.key, stage.kind, stage.label, home, stage.document()))
            running += 1
        for outcome in _outcomes(executor):
            running -= 1
            _report(stages[outcome.key], outcome, notify)
            if outcome.error:
                continue
            for key in readers[outcome.key]:
                waiting[key].discard(outcome.key)
                if not waiting[key]:
                    heapq.heappush(ready, (-priority[key], order[key], key))


def _outcomes(executor: Executor) -> Iterator[StageOutcome]:
    # A bounded wait, so that Ctrl-C is seen soon on every platform.
    yield from executor.wait(timeout=0.5)


def _report(stage: Stage, outcome: StageOutcome, notify: Callable[[StageEvent], None]) -> None:
    status = "failed" if outcome.error else "finished"
    notify(StageEvent(stage.kind, stage.key, status, stage.label, outcome.seconds, outcome.error))


def _priorities(stages: Mapping[str, Stage], readers: Mapping[str, list[str]]) -> dict[str, float]:
    """The weight of the longest way from each stage to the end."""
    priority: dict[str, float] = {}
    # A plan lists every stage after those that it reads.
    for key in reversed(list(stages)):
        after = max((priority[reader] for reader in readers.get(key, ())), default=0.0)
        priority[key] = WEIGHTS.get(stages[key].kind, 1.0) + after
    return priority
