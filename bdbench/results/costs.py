"""What a defense itself took, measured alike for all."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bdbench.results.records import CellRecord, Cost

__all__ = ["COSTS", "mean_cost"]

OWN = (
    "treated",
    *(f"{what}_{rows}" for what in ("screened", "screening") for rows in ("clean", "triggered")),
)
"""What is a defense's: its repair or training, and its screening of all test rows.

Screens that look at the model act while it is evaluated: of those stages, their own part.
"""

COSTS = (
    "seconds",
    "cpu_seconds",
    "forward_rows",
    "backward_rows",
    "gradient_steps",
    "clean_rows_drawn",
    "reference_models",
    "peak_memory_mib",
    "parameters_changed",
    "tuning_trials",
)


def mean_cost(records: Sequence[CellRecord]) -> dict[str, float | None]:
    """The means over the seeds that succeeded; None where there is none or nothing is known.

    Of a cell's stages times, rows, steps and trials add up. Memory is that of the stage that
    took most, and so are clean rows and reference models, which are the same for all stages.
    """
    totals = [_total(record) for record in records if record.status == "success"]
    means: dict[str, float | None] = {}
    for name in COSTS:
        known = [value for total in totals if (value := total[name]) is not None]
        means[name] = statistics.fmean(known) if known else None
    return means


def _total(record: CellRecord) -> dict[str, float | None]:
    own: list[Cost] = [record.costs[role] for role in OWN if role in record.costs]
    changed = [cost.parameters_changed for cost in own if cost.parameters_changed is not None]
    return {
        "seconds": sum(cost.wall_seconds for cost in own),
        "cpu_seconds": sum(cost.cpu_seconds for cost in own),
        "forward_rows": sum(cost.forward_rows for cost in own),
        "backward_rows": sum(cost.backward_rows for cost in own),
        "gradient_steps": sum(cost.gradient_steps for cost in own),
        "clean_rows_drawn": max((cost.clean_rows_drawn for cost in own), default=0),
        "reference_models": max((cost.reference_models for cost in own), default=0),
        "peak_memory_mib": max((cost.peak_memory_mib for cost in own), default=0.0),
        "parameters_changed": max(changed, default=None),
        "tuning_trials": sum(cost.tuning_trials for cost in own),
    }
