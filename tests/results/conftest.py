"""Records and comparisons made by hand."""

from __future__ import annotations

import copy

import pytest

from bdbench.results.records import CellRecord, ComponentRecord, Cost

COMPARISON = {
    "schema": "bdbench.comparison/1",
    "suite": "small",
    "run_id": "20260101-000000-small-abcd",
    "columns": [
        {
            "name": name,
            "summary": "Words.",
            "direction": direction,
            "bounds": [0, 1],
            "unit": unit,
            "metric": "bdbench-metric-classification/classification",
        }
        for name, direction, unit in (
            ("clean_accuracy", "higher", "share"),
            ("clean_accuracy_change", "higher", "share"),
            ("asr", "lower", "share"),
            ("asr_floor", "none", "share"),
            ("accuracy_vs_control", "higher", "share"),
            ("latency", "lower", "seconds"),
        )
    ],
    "rows": [
        {
            "dataset": "sst2",
            "model": "minilm",
            "attack": attack,
            "defense": defense,
            "seeds": seeds,
            "status": status,
            "reasons": reasons,
            "needs": needs,
            "values": dict(
                zip(
                    (
                        "clean_accuracy",
                        "clean_accuracy_change",
                        "asr",
                        "asr_floor",
                        "accuracy_vs_control",
                        "latency",
                    ),
                    values,
                    strict=True,
                )
            ),
            "defense_seconds": seconds,
            "cells": [f"{attack}-{defense}"],
        }
        for attack, defense, seeds, status, reasons, needs, values, seconds in (
            ("none", "none", [0, 1], {"success": 2}, [], "nothing",
             (0.9125, 0.0, None, None, 0.0, 0.00125), 0.0),
            ("badnets", "none", [0, 1], {"success": 2}, [], "nothing",
             (0.9, 0.0, 1.0, 0.08, -0.0125, 1234.5678), 0.0),
            ("badnets", "merge", [1], {"success": 1, "failed": 1}, ["victim: out of memory"],
             "weights, 2+ reference models", (0.88, -0.02, 0.1234567890123, 0.08, -0.0325, 2.0),
             3.5),
            ("badnets", "tune", [], {"failed": 2}, ["treated: NaN"], "64+ clean rows",
             (None,) * 6, None),
            ("badnets", "wag", [], {"incompatible": 2}, ["needs 2"], "weights",
             (None,) * 6, None),
            ("badnets", "late", [], {"skipped": 2}, ["interrupted"], "nothing",
             (None,) * 6, None),
        )
    ],
    "notes": ["2 seeds: differences between rows may be chance; no ranks."],
    "seeds": [0, 1],
    "clean_rows": 64,
}  # fmt: skip


@pytest.fixture
def comparison():
    """A small comparison with every state that a row can have."""
    return copy.deepcopy(COMPARISON)


@pytest.fixture
def make_record():
    """A record of the toy suite."""

    def component(label):
        return ComponentRecord(
            label=label, component=f"d/{label}", version="1", revision=1, code="0", config={}
        )

    def make_record(attack="patch", defense="none", seed=0, status="success", **changes):
        metrics = changes.pop("metrics", {})
        seconds = changes.pop("seconds", None)
        costs = {} if seconds is None else {"treated": Cost(wall_seconds=seconds)}
        return CellRecord(
            cell_id=f"{attack}-{defense}-{seed}",
            suite="toy",
            seed=seed,
            dataset=component(changes.pop("dataset", "blobs")),
            model=component("linear"),
            attack=component(attack),
            defense=[component(defense)],
            defense_label=defense,
            status=status,
            needs="weights",
            metrics=metrics,
            costs=costs,
            **changes,
        )

    return make_record
