"""What a defense does in its box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bdbench.api import (
    Access,
    Checkpoint,
    DefenderView,
    Examples,
    Filtering,
    Needs,
    Outputs,
    Repair,
    Screening,
)
from bdbench.engine.boxed import Act, Boxed, left_checkpoint

__all__ = ["DEFENSE_ACTS"]


def _view(boxed: Boxed) -> DefenderView:
    """What one defense is given: what it declares, of what the host put in."""
    declared = boxed.settings["needs"]
    needs = Needs(**{**declared, "access": Access(declared["access"])})
    engine = boxed.engine

    def predict(rows: Examples) -> Outputs:
        if not boxed.has("model"):
            raise TypeError("there is no model in this stage")
        checkpoint = boxed.checkpoint("model")
        return engine.predict(engine.load(checkpoint), checkpoint, rows)

    references: list[Checkpoint] = []
    while boxed.has(name := f"reference-{len(references)}"):
        references.append(boxed.checkpoint(name))
    return DefenderView(
        defense=boxed.settings["part"]["label"],
        needs=needs,
        task=boxed.task,
        seeds=boxed.seeds,
        workspace=boxed.place("work"),
        engine=engine,
        clean_rows=boxed.rows("clean") if boxed.has("clean") else None,
        references=references,
        base=boxed.checkpoint("base") if boxed.has("base") else None,
        training_rows=boxed.rows("training") if boxed.has("training") else None,
        predict=predict,
        drawn=boxed.meter.drawn,
    )


def _numbers(values: Any) -> list[float | None]:
    """Scores as plain data; what is not finite becomes None, which the host refuses."""
    array = np.asarray(values, dtype=np.float64)
    return [float(value) if np.isfinite(value) else None for value in array]


def _repair(boxed: Boxed) -> Mapping[str, Any]:
    repair: Repair = boxed.component.repair(boxed.checkpoint("model"), _view(boxed))
    return {
        "checkpoint": left_checkpoint(boxed, repair.checkpoint),
        "found": repair.checkpoint.folder.name,
        "notes": dict(repair.notes),
        "selection": str(repair.selection),
    }


def _filter(boxed: Boxed) -> Mapping[str, Any]:
    filtering: Filtering = boxed.component.filter(boxed.rows("rows"), _view(boxed))
    if filtering.examples is not None:
        boxed.leave_rows("rewritten", filtering.examples)
    return {
        "keep": [bool(keep) for keep in filtering.keep],
        "scores": _numbers(filtering.scores),
        "rewritten": filtering.examples is not None,
        "notes": dict(filtering.notes),
        "selection": str(filtering.selection),
    }


def _screen(boxed: Boxed) -> Mapping[str, Any]:
    screening: Screening = boxed.component.screen(boxed.rows("rows"), _view(boxed))
    boxed.leave_rows("screened", screening.examples)
    return {
        "rejected": [bool(rejected) for rejected in screening.rejected],
        "scores": _numbers(screening.scores),
        "notes": dict(screening.notes),
        "selection": str(screening.selection),
    }


DEFENSE_ACTS: Mapping[str, Act] = {"filter": _filter, "repair": _repair, "screen": _screen}
