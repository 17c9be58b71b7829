"""Metrics measure, models are prepared and asked, data sets are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bdbench.api import (
    AttackEvidence,
    Checkpoint,
    Evidence,
    Examples,
    MetricSpec,
    RowValues,
    Splits,
    Subject,
)
from bdbench.testing.evidence import attack_cases, cell_cases
from bdbench.testing.scene import Scene
from bdbench.testing.supplied import KnownValues

__all__ = ["DatasetRun", "MetricRun", "ModelRun", "load", "measure", "prepare"]


@dataclass(slots=True)
class MetricRun:
    """What a metric measured.

    Attributes:
        metric: The object.
        cases: The evidence, by name; what the author supplies is among it.
        values: What it gave for each, by name.
        rows: What it gave row by row, likewise; empty for a metric of attacks.
    """

    metric: Any
    cases: Mapping[str, Evidence | AttackEvidence]
    values: dict[str, Mapping[str, float | None]] = field(default_factory=dict)
    rows: dict[str, Mapping[str, RowValues]] = field(default_factory=dict)

    def results(self) -> dict[str, Any]:
        """All that decides numbers."""
        return {"values": self.values, "rows": self.rows}


def measure(
    spec: MetricSpec, build: Callable[[], Any], scene: Scene, known: list[KnownValues]
) -> MetricRun:
    """Lets a metric measure all cases."""
    splits = scene.world.splits
    cases: dict[str, Any] = dict(
        attack_cases(splits) if spec.subject is Subject.ATTACK else cell_cases(splits)
    )
    cases |= {case.name: case.evidence for case in known}
    run = MetricRun(build(), cases)
    for name, case in cases.items():
        given = scene.hand(f"evidence ({name})", case)
        run.values[name] = dict(run.metric.measure(given))
        if spec.subject is Subject.CELL:
            run.rows[name] = dict(run.metric.rows(given))
    return run


@dataclass(slots=True)
class ModelRun:
    """What a model family did.

    Attributes:
        model: The object.
        start: The checkpoint that it prepared.
        rows: The rows that it was asked about.
        said: Its outputs, column by column, from one batch.
        losses: The loss of each row.
        alone: Its outputs for each row in a batch of its own.
        saved: The checkpoint, loaded and saved again.
        again: The outputs of `saved`.
    """

    model: Any
    start: Checkpoint
    rows: Examples
    said: Mapping[str, Any]
    losses: Any
    alone: list[Mapping[str, Any]]
    saved: Checkpoint
    again: Mapping[str, Any]

    def results(self) -> dict[str, Any]:
        """All that decides numbers."""
        return {"start model": self.start, "outputs": self.said, "losses": self.losses}


def prepare(build: Callable[[], Any], scene: Scene) -> ModelRun:
    """Prepares a model, asks it, saves it and asks it again."""
    import torch  # noqa: PLC0415 -- only for models

    model, folder = build(), scene.workspace()
    model.prepare(scene.world.task, folder, scene.seeds.child("start"))
    start = Checkpoint(folder)
    rows = scene.hand("rows", scene.world.splits.test)

    def ask(module: Any, like: Checkpoint, some: Examples) -> Any:
        items = model.encode(some, like)
        raw = model.forward(module, model.collate(items))
        said = {name: value.detach().cpu() for name, value in model.read(raw).items()}
        return said, model.loss(raw, some.labels).detach().cpu()

    with torch.inference_mode():
        module = model.load(start)
        said, losses = ask(module, start, rows)
        alone = [ask(module, start, rows.select([row]))[0] for row in range(3)]
        copy = Checkpoint(scene.workspace())
        model.save(module, start, copy.folder)
        again, _ = ask(model.load(copy), copy, rows)
    return ModelRun(model, start, rows, said, losses, alone, copy, again)


@dataclass(slots=True)
class DatasetRun:
    """What a data set gave.

    Attributes:
        splits: The rows.
    """

    splits: Splits

    def results(self) -> dict[str, Any]:
        """All that decides numbers."""
        rows = {name: getattr(self.splits, name) for name in ("train", "test", "clean")}
        return {"task": self.splits.task, **rows}


def load(build: Callable[[], Any]) -> DatasetRun:
    """Loads a data set."""
    return DatasetRun(build().load())
