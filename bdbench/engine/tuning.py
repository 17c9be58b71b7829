"""The tuning budget: the host tries a repair's settings on the defender's own clean rows.

The same for every defense, and without a look at the attack: half of the clean rows are for the
repair to work with, the other half tells what is left of the accuracy. Of the settings that keep
it, the strongest is taken; what is strong, the defense declares (`DefenseSpec.grid`, gentlest
first). All of it counts as the defense's cost.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bdbench.api import Checkpoint, Examples, InputError
from bdbench.engine.context import Stage
from bdbench.engine.defender import defender

__all__ = ["halves", "tune"]


def tune(
    stage: Stage, part: Mapping[str, Any], checkpoint: Checkpoint, training: Examples
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The repair with the settings to use, and notes on what was tried.

    Args:
        stage: Where it acts.
        part: What the plan says of it, ``trials`` among it.
        checkpoint: The model under defense.
        training: The training rows to show it if it needs them.

    Raises:
        InputError: The model gives no classes to count.
    """
    rows = stage.clean_rows()
    # Some of them choose, whether or not the repair is shown any.
    stage.meter.drawn(clean_rows=len(rows))
    fit, check = (rows.select(half) for half in halves(rows.labels))
    allowed = _accuracy(stage, part, checkpoint, check) - stage.settings["tuning"]["tolerance"]
    tried: list[dict[str, Any]] = []
    chosen = part["trials"][0]
    for number, trial in enumerate(part["trials"]):
        folder = stage.scratch / f"trial-{number}"
        given = {**part, **_own(trial)}
        with defender(stage, given, checkpoint, training, clean=fit) as defense:
            repaired = defense.repair(checkpoint, folder).checkpoint
        accuracy = _accuracy(stage, part, repaired, check)
        shutil.rmtree(folder)
        stage.meter.tuning_trials += 1
        tried.append({"settings": trial["tried"], "accuracy": round(accuracy, 6)})
        if accuracy >= allowed:
            chosen = trial
    notes = {
        "tried": tried,
        "chosen": chosen["tried"],
        "least_accuracy": round(allowed, 6),
        "rows_to_fit": len(fit),
        "rows_to_check": len(check),
    }
    return {**part, **_own(chosen)}, notes


def _own(trial: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial has in the place of the part's."""
    return {name: value for name, value in trial.items() if name != "tried"}


def halves(labels: Sequence[int]) -> tuple[list[int], list[int]]:
    """Two halves of some rows that have as many of each class, give or take one."""
    seen: Counter[int] = Counter()
    second = []
    for label in labels:
        second.append(seen[label] % 2)
        seen[label] += 1
    order = sorted(range(len(labels)), key=second.__getitem__)
    half = len(labels) // 2
    return order[:half], order[half:]


def _accuracy(
    stage: Stage, part: Mapping[str, Any], checkpoint: Checkpoint, rows: Examples
) -> float:
    engine = stage.engine
    outputs = engine.predict(engine.load(checkpoint), checkpoint, rows)
    if "prediction" not in outputs:
        raise InputError(
            "the settings of a defense cannot be tuned here",
            where=part["label"],
            found=f"a model that gives {', '.join(outputs)}",
            expected="a column `prediction` of classes",
            next="take `defender.tuning` out",
        )
    return float((np.asarray(outputs["prediction"]) == np.asarray(rows.labels)).mean())
