"""Stage ``scores``: metrics over the predictions of a cell. Runs no model."""

from __future__ import annotations

import json
import math

from bdbench.api import Evidence, InputError, Metric, MetricSpec, NonFiniteError, Predictions
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.predictions import read_predictions

__all__ = ["make_scores"]

FILE = "scores.json"


def make_scores(stage: Stage) -> StageResult:
    """Computes every metric's values and writes ``scores.json``."""

    def table(role: str) -> Predictions | None:
        return read_predictions(stage.input(role)) if role in stage.inputs else None

    def need(role: str) -> Predictions:
        return read_predictions(stage.input(role))

    target = None
    if "poison" in stage.inputs:
        target = stage.store.meta(stage.inputs["poison"])["values"]["target"]
    evidence = Evidence(
        task=stage.task,
        target=target,
        clean=need("predictions_clean"),
        undefended_clean=need("undefended_clean"),
        control_clean=need("control_clean"),
        triggered=table("predictions_triggered"),
        undefended_triggered=table("undefended_triggered"),
        floor=table("floor"),
    )
    scores: dict[str, float | None] = {}
    for part in stage.settings["metrics"]:
        metric: Metric = stage.build(part)
        spec = stage.host.spec_of("metric", part["component"])
        declared = {value.name for value in spec.values} if isinstance(spec, MetricSpec) else set()
        values = dict(metric.measure(evidence))
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
    (stage.folder / FILE).write_text(json.dumps(scores, allow_nan=False), "utf-8")
    return StageResult(values={"target": target})
