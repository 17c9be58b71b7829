"""Stages ``scores`` and ``attack_scores``: metrics over predictions, and over triggers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import InputError, MetricSpec, MetricValue, NonFiniteError, Task
from bdbench.engine.box import Box
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.defender import DECISIONS

__all__ = ["ROWS_FILE", "make_attack_scores", "make_scores"]

FILE = "scores.json"
ROWS_FILE = "rows.parquet"
EVIDENCE = (
    "predictions_clean",
    "predictions_triggered",
    "predictions_variants",
    "undefended_clean",
    "undefended_triggered",
    "undefended_variants",
    "floor",
    "floor_variants",
    "control_clean",
)
MEANS_AGREE = 1e-9
"""How far a value may lie from the mean of its rows: sums in another order."""


def make_scores(stage: Stage) -> StageResult:
    """Computes every metric of the cell, the attack's among them.

    Leaves ``scores.json`` (values by name) and ``rows.parquet`` (column ``id``, and one for
    each value that is a mean over test rows; null where a row does not count).
    """
    scores: dict[str, float | None] = {}
    if "attack_scores" in stage.inputs:
        text = (stage.input("attack_scores") / FILE).read_text("utf-8")
        scores = json.loads(text)
    target = _target(stage)
    decisions = _decisions(stage) if "treated" in stage.inputs else None
    rows: dict[str, dict[int, float]] = {}
    for part in stage.settings["metrics"]:
        with stage.box(part) as box:
            for role in EVIDENCE:
                if role in stage.inputs:
                    box.show(role, stage.input(role))
            if decisions is not None:
                folder = stage.scratch / "decisions"
                folder.mkdir(exist_ok=True)
                pq.write_table(decisions, folder / "decisions.parquet")
                box.show("filtering", folder)
            if "triggered" in stage.inputs:
                _show_attack(stage, box)
            values = _measure(stage, part, box, scores, target, rows=True)
            found = _rows(box.left("rows"), part["label"], values)
            _check_rows(stage, part, found)
            rows |= found
    _write(stage, scores)
    _write_rows(stage.folder / ROWS_FILE, rows)
    return StageResult(values={"target": target})


def make_attack_scores(stage: Stage) -> StageResult:
    """Computes the metrics of an attack: what its trigger does to the test rows."""
    scores: dict[str, float | None] = {}
    for part in stage.settings["metrics"]:
        with stage.box(part) as box:
            _show_attack(stage, box)
            _measure(stage, part, box, scores, _target(stage), rows=False)
    _write(stage, scores)
    return StageResult()


def _show_attack(stage: Stage, box: Box) -> None:
    box.show("data", stage.input("data"), "test.parquet")
    folder = stage.input("triggered")
    variants = [name for name in ("variants.parquet", "variants.json") if (folder / name).exists()]
    box.show("triggered", folder, "triggered.parquet", *variants)


def _measure(
    stage: Stage,
    part: Mapping[str, Any],
    box: Box,
    scores: dict[str, float | None],
    target: int | None,
    *,
    rows: bool,
) -> dict[str, float | None]:
    """Adds the values of a metric to `scores`."""
    spec = stage.host.spec_of("metric", part["component"])
    declared = _declared(spec, stage.task) if isinstance(spec, MetricSpec) else {}
    values: dict[str, Any] = box.ask("measure", target=target, rows=rows)["values"]
    if set(values) != set(declared) or set(values) & set(scores):
        raise InputError(
            "a metric must give the values that it declares, each name once in a suite",
            where=part["label"],
            found=", ".join(sorted(values)),
            expected=", ".join(sorted(declared)),
            next="tell the plugin's authors",
        )
    for name, value in values.items():
        if not (value is None or isinstance(value, float)):
            raise NonFiniteError(
                "a metric is not finite",
                where=f"{part['label']}.{name}",
                found=str(value),
                expected="a finite number, or nothing where it does not apply",
            )
        _check_bounds(part["label"], name, [value] if value is not None else [], declared[name])
    scores |= values
    return values


def _rows(
    folder: Path, label: str, values: Mapping[str, float | None]
) -> dict[str, dict[int, float]]:
    """The row values that a metric left, held against the values themselves."""
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path)
        numbers = table.column("value").to_numpy()
        value = values.get(path.stem)
        mean = float(numbers.mean()) if len(numbers) else None
        if value is None or mean is None or not math.isclose(mean, value, abs_tol=MEANS_AGREE):
            raise InputError(
                "the rows of a metric must have its value as their mean",
                where=f"{label}.{path.stem}",
                found=f"{mean} over {len(numbers)} rows",
                expected=f"{value}",
                next="tell the plugin's authors",
            )
        ids = table.column("id").to_pylist()
        found[path.stem] = dict(zip(ids, numbers.tolist(), strict=True))
        if len(found[path.stem]) < len(ids):
            raise InputError(
                "the rows of a metric must name each test row once",
                where=f"{label}.{path.stem}",
                found=f"{len(ids)} rows with {len(found[path.stem])} ids",
                expected="unique ids",
                next="tell the plugin's authors",
            )
    return found


def _check_rows(
    stage: Stage, part: Mapping[str, Any], found: Mapping[str, Mapping[int, float]]
) -> None:
    """Intervals and tests pair them by the ids of test rows."""
    spec = stage.host.spec_of("metric", part["component"])
    declared = _declared(spec, stage.task) if isinstance(spec, MetricSpec) else {}
    known = set(stage.rows("data", "test").ids) if found else set()
    for name, numbers in found.items():
        _check_bounds(part["label"], name, [*numbers.values()], declared[name])
        if not known.issuperset(numbers):
            raise InputError(
                "the rows of a metric must be test rows",
                where=f"{part['label']}.{name}",
                found=f"id {min(numbers.keys() - known)}",
                expected="ids of the rows that the metric was shown",
                next="tell the plugin's authors",
            )


def _write_rows(path: Path, rows: Mapping[str, Mapping[int, float]]) -> None:
    ids = sorted(set().union(*rows.values())) if rows else []
    columns = {"id": pa.array(ids, pa.int64())}
    for name, found in rows.items():
        columns[name] = pa.array([found.get(row) for row in ids], pa.float64())
    pq.write_table(pa.table(columns), path, compression="zstd")


def _declared(spec: MetricSpec, task: Task) -> dict[str, MetricValue]:
    """What a metric gives, by the names under which it gives it."""
    found: dict[str, MetricValue] = {}
    for value in spec.values:
        numbers = range(len(task.classes))
        names = [f"{value.name}.{n}" for n in numbers] if value.per_class else [value.name]
        found |= dict.fromkeys(names, value)
    return found


def _check_bounds(label: str, name: str, numbers: Sequence[float], value: MetricValue) -> None:
    """Intervals, gates and ranks rest on the bounds that a metric declares."""
    low, high = value.bounds
    least = -math.inf if low is None else low - MEANS_AGREE
    most = math.inf if high is None else high + MEANS_AGREE
    beyond = [number for number in numbers if not least <= number <= most]
    if beyond:
        raise InputError(
            "a metric is beyond its bounds",
            where=f"{label}.{name}",
            found=f"{beyond[0]:g}",
            expected=f"{'any' if low is None else low} to {'any' if high is None else high}, "
            "as its spec declares",
            next="tell the plugin's authors",
        )


def _target(stage: Stage) -> int | None:
    if "triggered" not in stage.inputs:
        return None
    target: int | None = stage.store.meta(stage.inputs["triggered"])["values"]["target"]
    return target


def _decisions(stage: Stage) -> pa.Table:
    """What the filters decided, beside what the attacker did.

    A row that one filter drops is not seen by the next: its suspicion is that of the first.
    """
    files = sorted(stage.input("treated").glob(DECISIONS))
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
    return pa.table({"ids": ids, "poisoned": poisoned, "kept": kept, "scores": scores})


def _write(stage: Stage, scores: Mapping[str, float | None]) -> None:
    (stage.folder / FILE).write_text(json.dumps(scores, allow_nan=False), "utf-8")
