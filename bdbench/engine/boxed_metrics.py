"""What a metric does in its box."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import AttackEvidence, Decisions, Evidence, Predictions, RowValues
from bdbench.engine.boxed import Act, Boxed
from bdbench.engine.predictions import read_predictions
from bdbench.engine.rows import read_examples
from bdbench.engine.triggering import read_variants

__all__ = ["METRIC_ACTS"]


def _measure(boxed: Boxed, target: int | None, rows: bool) -> Mapping[str, Any]:  # noqa: FBT001 -- from JSON
    metric = boxed.component
    evidence = _evidence(boxed, target) if rows else _attack_evidence(boxed, target)
    values: Mapping[str, Any] = metric.measure(evidence)
    if rows:
        _leave(boxed.place("rows"), metric.rows(evidence))
    return {"values": {name: _number(value) for name, value in values.items()}}


def _number(value: Any) -> float | str | None:
    """A value as plain data; what is not finite becomes text, which the host refuses."""
    if value is None:
        return None
    number = float(value)
    return number if np.isfinite(number) else str(number)


def _leave(folder: Path, rows: Mapping[str, RowValues]) -> None:
    for name, found in rows.items():
        columns = {"id": pa.array(found.ids, pa.int64()), "value": pa.array(found.values)}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def _evidence(boxed: Boxed, target: int | None) -> Evidence:
    def table(role: str) -> Predictions | None:
        return read_predictions(boxed.shown(role)) if boxed.has(role) else None

    def need(role: str) -> Predictions:
        return read_predictions(boxed.shown(role))

    return Evidence(
        task=boxed.task,
        target=target,
        clean=need("predictions_clean"),
        undefended_clean=need("undefended_clean"),
        control_clean=need("control_clean"),
        triggered=table("predictions_triggered"),
        undefended_triggered=table("undefended_triggered"),
        floor=table("floor"),
        filtering=_decisions(boxed.shown("filtering")) if boxed.has("filtering") else None,
        variants=_by_variant(boxed, table("predictions_variants")),
        undefended_variants=_by_variant(boxed, table("undefended_variants")),
        floor_variants=_by_variant(boxed, table("floor_variants")),
        attack=_attack_evidence(boxed, target) if boxed.has("triggered") else None,
    )


def _attack_evidence(boxed: Boxed, target: int | None) -> AttackEvidence:
    triggered = boxed.shown("triggered")
    after = read_examples(triggered / "triggered.parquet")
    test = read_examples(boxed.shown("data") / "test.parquet")
    places = {row_id: row for row, row_id in enumerate(test.ids)}
    has_variants = (triggered / "variants.json").exists()
    return AttackEvidence(
        task=boxed.task,
        target=target,
        before=test.select([places[row_id] for row_id in after.ids]),
        after=after,
        variants=read_variants(triggered) if has_variants else {},
    )


def _by_variant(boxed: Boxed, table: Predictions | None) -> Mapping[str, Predictions]:
    """The answers to the rows of all variants, taken apart."""
    if table is None:
        return {}
    found = {}
    start = 0
    text = (boxed.shown("triggered") / "variants.json").read_text("utf-8")
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


def _decisions(folder: Path) -> Decisions:
    columns = pq.read_table(folder / "decisions.parquet")
    return Decisions(**{name: columns.column(name).to_numpy() for name in columns.column_names})


METRIC_ACTS: Mapping[str, Act] = {"measure": _measure}
