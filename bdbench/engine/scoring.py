"""Stages ``scores`` and ``attack_scores``: metrics over predictions, and over triggers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bdbench.api import (
    AttackEvidence,
    Decisions,
    Evidence,
    InputError,
    MetricSpec,
    NonFiniteError,
    Predictions,
    Task,
)
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.predictions import read_predictions
from bdbench.engine.triggering import read_variants

__all__ = ["make_attack_scores", "make_scores"]

FILE = "scores.json"


def make_scores(stage: Stage) -> StageResult:
    """Computes every metric of the cell and writes ``scores.json``, the attack's among them."""

    def table(role: str) -> Predictions | None:
        return read_predictions(stage.input(role)) if role in stage.inputs else None

    def need(role: str) -> Predictions:
        return read_predictions(stage.input(role))

    target = _target(stage)
    evidence = Evidence(
        task=stage.task,
        target=target,
        clean=need("predictions_clean"),
        undefended_clean=need("undefended_clean"),
        control_clean=need("control_clean"),
        triggered=table("predictions_triggered"),
        undefended_triggered=table("undefended_triggered"),
        floor=table("floor"),
        filtering=_decisions(stage) if "treated" in stage.inputs else None,
        variants=_by_variant(stage, table("predictions_variants")),
        undefended_variants=_by_variant(stage, table("undefended_variants")),
        attack=_attack_evidence(stage) if "triggered" in stage.inputs else None,
    )
    scores: dict[str, float | None] = {}
    if "attack_scores" in stage.inputs:
        text = (stage.input("attack_scores") / FILE).read_text("utf-8")
        scores = json.loads(text)
    _measure(stage, evidence, scores)
    _write(stage, scores)
    return StageResult(values={"target": target})


def make_attack_scores(stage: Stage) -> StageResult:
    """Computes the metrics of an attack: what its trigger does to the test rows."""
    scores: dict[str, float | None] = {}
    _measure(stage, _attack_evidence(stage), scores)
    _write(stage, scores)
    return StageResult()


def _attack_evidence(stage: Stage) -> AttackEvidence:
    after = stage.rows("triggered", "triggered")
    test = stage.rows("data", "test")
    places = {row_id: row for row, row_id in enumerate(test.ids)}
    has_variants = (stage.input("triggered") / "variants.json").exists()
    return AttackEvidence(
        task=stage.task,
        target=_target(stage),
        before=test.select([places[row_id] for row_id in after.ids]),
        after=after,
        variants=read_variants(stage, "triggered") if has_variants else {},
    )


def _measure(
    stage: Stage, evidence: Evidence | AttackEvidence, scores: dict[str, float | None]
) -> None:
    """Adds the values of the stage's metrics to `scores`."""
    for part in stage.settings["metrics"]:
        spec = stage.host.spec_of("metric", part["component"])
        declared = _declared(spec, stage.task) if isinstance(spec, MetricSpec) else set()
        values: dict[str, float | None] = dict(stage.build(part).measure(evidence))
        if set(values) != declared or set(values) & set(scores):
            raise InputError(
                "a metric must give the values that it declares, each name once in a suite",
                where=part["label"],
                found=", ".join(sorted(values)),
                expected=", ".join(sorted(declared)),
                next="tell the plugin's authors",
            )
        for name, value in values.items():
            if value is not None and not math.isfinite(value):
                raise NonFiniteError(
                    "a metric is not finite",
                    where=f"{part['label']}.{name}",
                    found=str(value),
                    expected="a finite number, or nothing where it does not apply",
                )
            scores[name] = None if value is None else float(value)


def _declared(spec: MetricSpec, task: Task) -> set[str]:
    names: set[str] = set()
    for value in spec.values:
        numbers = range(len(task.classes))
        names |= {f"{value.name}.{n}" for n in numbers} if value.per_class else {value.name}
    return names


def _target(stage: Stage) -> int | None:
    if "triggered" not in stage.inputs:
        return None
    target: int | None = stage.store.meta(stage.inputs["triggered"])["values"]["target"]
    return target


def _by_variant(stage: Stage, table: Predictions | None) -> Mapping[str, Predictions]:
    """The answers to the rows of all variants, taken apart."""
    if table is None:
        return {}
    found = {}
    start = 0
    text = (stage.input("triggered") / "variants.json").read_text("utf-8")
    for name, ids in json.loads(text).items():
        part = slice(start, start + len(ids))
        found[name] = Predictions(
            ids=np.asarray(ids),
            labels=table.labels[part],
            columns={column: values[part] for column, values in table.columns.items()},
            rejected=table.rejected[part],
            scores=None if table.scores is None else table.scores[part],
            rewritten=None if table.rewritten is None else table.rewritten[part],
        )
        start += len(ids)
    return found


def _decisions(stage: Stage) -> Decisions:
    """What the filters decided, beside what the attacker did.

    A row that one filter drops is not seen by the next: its suspicion is that of the first.
    """
    files = sorted(stage.input("treated").glob("filter-*.parquet"))
    first = pq.read_table(files[0])
    ids: np.ndarray[Any, Any] = first.column("id").to_numpy()
    places = {row_id: row for row, row_id in enumerate(ids.tolist())}
    kept = np.ones(len(ids), dtype=bool)
    scores = np.full(len(ids), -np.inf)
    for path in files:
        table = pq.read_table(path)
        rows = np.array([places[row_id] for row_id in table.column("id").to_pylist()], dtype=int)
        kept[rows] &= table.column("keep").to_numpy()
        scores[rows] = np.maximum(scores[rows], table.column("score").to_numpy())
    poisoned = np.zeros(len(ids), dtype=bool)
    if "poison" in stage.inputs:
        mask = pq.read_table(stage.input("poison") / "mask.parquet").to_pydict()
        marked = {row for row, yes in zip(mask["id"], mask["poisoned"], strict=True) if yes}
        poisoned = np.array([row_id in marked for row_id in ids.tolist()], dtype=bool)
    return Decisions(ids=ids, poisoned=poisoned, kept=kept, scores=scores)


def _write(stage: Stage, scores: Mapping[str, float | None]) -> None:
    (stage.folder / FILE).write_text(json.dumps(scores, allow_nan=False), "utf-8")
