"""The comparison: one row per attack and defense, over the seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from bdbench.api.specs import MetricSpec, MetricValue
from bdbench.results.records import CellRecord
from bdbench.suite.resolve import ResolvedSuite

__all__ = ["SCHEMA", "compare"]

SCHEMA = "bdbench.comparison/1"

PARTIAL_NOTE = "only some cells of the suite: filters left the others out."

MIN_SEEDS = 3
"""Below this many seeds a difference between two rows says little: a note says so."""


def compare(
    records: Sequence[CellRecord], resolved: ResolvedSuite, run_id: str, *, partial: bool = False
) -> dict[str, Any]:
    """The comparison as plain data, in the schema that `bdbench leaderboard --json` prints.

    A row's values are means over the seeds that succeeded; failed cells are counted, never
    averaged away.

    Args:
        records: In the order of the suite.
        resolved: The suite that they are of.
        run_id: The run that they are of.
        partial: Whether filters left cells of the suite out.
    """
    groups: dict[tuple[str, str, str, str], list[CellRecord]] = {}
    for record in records:
        place = (
            record.dataset.label,
            record.model.label,
            record.attack.label,
            record.defense_label,
        )
        groups.setdefault(place, []).append(record)
    columns = list(_columns(resolved, records))
    return {
        "schema": SCHEMA,
        "suite": resolved.suite.name,
        "run_id": run_id,
        "partial": partial,
        "columns": columns,
        "rows": [
            _row(place, group, [column["name"] for column in columns])
            for place, group in groups.items()
        ],
        "notes": [*_notes(records, resolved), *([PARTIAL_NOTE] if partial else [])],
        "seeds": list(resolved.suite.seeds),
        "clean_rows": resolved.suite.defender.clean_rows,
    }


def _columns(resolved: ResolvedSuite, records: Sequence[CellRecord]) -> Iterable[dict[str, Any]]:
    for part in resolved.metrics:
        spec = part.component.spec
        values: tuple[MetricValue, ...] = spec.values if isinstance(spec, MetricSpec) else ()
        for value in values:
            for name in _names(value, records):
                yield {
                    "name": name,
                    "summary": value.summary,
                    "direction": value.direction.value,
                    "bounds": list(value.bounds),
                    "unit": value.unit,
                    "metric": part.component.full_name,
                }


def _names(value: MetricValue, records: Sequence[CellRecord]) -> list[str]:
    """What a value is called in records: by class where there is one number for each."""
    if not value.per_class:
        return [value.name]
    numbers = {
        int(number)
        for record in records
        for name in record.metrics
        for stem, _, number in [name.rpartition(".")]
        if stem == value.name
    }
    return [f"{value.name}.{number}" for number in sorted(numbers)]


def _row(
    place: tuple[str, str, str, str], group: list[CellRecord], names: Sequence[str]
) -> dict[str, Any]:
    done = [record for record in group if record.status == "success"]
    dataset, model, attack, defense = place
    by_status: dict[str, int] = {}
    for record in group:
        by_status[record.status] = by_status.get(record.status, 0) + 1
    reasons = sorted({record.reason for record in group if record.reason})
    return {
        "dataset": dataset,
        "model": model,
        "attack": attack,
        "defense": defense,
        "seeds": [record.seed for record in done],
        "status": by_status,
        "reasons": reasons,
        "needs": group[0].needs,
        "values": {name: _mean(done, name) for name in names},
        "defense_seconds": _seconds(done),
        "cells": [record.cell_id for record in group],
    }


def _mean(records: list[CellRecord], name: str) -> float | None:
    values = [value for record in records if (value := record.metrics.get(name)) is not None]
    return statistics.fmean(values) if values else None


def _seconds(records: list[CellRecord]) -> float | None:
    """What the defense itself took: its repair or training, and its screening of all test rows.

    Screens that look at the model act while it is evaluated; their time is not told apart.
    """
    if not records:
        return None
    own = ("treated", "screened_clean", "screened_triggered")
    return statistics.fmean(
        sum(record.costs[role].wall_seconds for role in own if role in record.costs)
        for record in records
    )


def _notes(records: Sequence[CellRecord], resolved: ResolvedSuite) -> Iterable[str]:
    seeds = len({record.seed for record in records})
    if seeds < MIN_SEEDS:
        plural = "seed" if seeds == 1 else "seeds"
        yield (
            f"{seeds} {plural}: differences between rows may be chance; no ranks. "
            "For a comparison that holds, run with --seeds 0,1,2."
        )
    isolation = sorted({record.isolation for record in records})
    if "none" in isolation:
        yield "isolation: none. Components ran as ordinary processes and are taken at their word."
    failed = sum(record.status == "failed" for record in records)
    if failed:
        yield f"{failed} of {len(records)} cells failed; --json has the reasons."
    incompatible = sum(record.status == "incompatible" for record in records)
    if incompatible:
        yield f"{incompatible} of {len(records)} cells cannot run; --plan says why."
    if resolved.suite.limit:
        yield f"limited to {resolved.suite.limit} rows per split: a trial, not a result."
