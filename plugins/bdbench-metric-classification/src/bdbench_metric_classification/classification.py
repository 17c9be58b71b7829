"""The metric: counts on clean and triggered rows, and what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bdbench.api import Evidence, InputError, Metric, Predictions, RowValues
from bdbench_metric_classification.answers import Answers

__all__ = ["Classification", "defense_effectiveness_rating"]


class Classification(Metric):
    """Accuracy and attack success of a classifier.

    A row on which an input screen abstained counts as a wrong answer if it is clean. If it is
    triggered, the attack was stopped, but the row did not get its true label either: it stays
    in the denominator of every share and in the numerator of none.
    """

    def measure(self, evidence: Evidence) -> dict[str, float | None]:
        """The values that the spec lists.

        Without a target every attack success rate, their change and `der` are None; without
        triggered rows, as for the control, so are `robust_accuracy`, `lfr` and `lfr_floor`.

        Raises:
            NonFiniteError: A model's answers are NaN or infinite.
            InputError: A table is empty, missing or not one of class numbers, or triggered
                rows are of the target class.
        """
        classes = len(evidence.task.classes)
        clean = Answers.of(evidence.clean, "clean rows", classes=classes)
        before = Answers.of(evidence.undefended_clean, "clean rows, undefended", classes=classes)
        control = Answers.of(evidence.control_clean, "clean rows, control", classes=classes)
        triggered = _stamped(evidence, evidence.triggered, "triggered rows")
        attacked = _stamped(evidence, evidence.undefended_triggered, "triggered rows, undefended")
        floor = _stamped(evidence, evidence.floor, "triggered rows, control")

        accuracy = clean.accuracy()
        accuracy_before = before.accuracy()
        asr = _asr(triggered, evidence.target)
        asr_before = _asr(attacked, evidence.target)
        change = None if asr is None or asr_before is None else asr - asr_before
        return {
            "clean_accuracy": accuracy,
            "clean_accuracy_change": accuracy - accuracy_before,
            "asr": asr,
            "asr_change": change,
            "asr_floor": _asr(floor, evidence.target),
            "lfr": None if triggered is None else triggered.flip_rate(),
            "lfr_floor": None if floor is None else floor.flip_rate(),
            "robust_accuracy": None if triggered is None else triggered.accuracy(),
            "der": None
            if change is None
            else defense_effectiveness_rating(
                asr_drop=-change, accuracy_drop=accuracy_before - accuracy
            ),
            "accuracy_vs_control": accuracy - control.accuracy(),
            "worst_class_accuracy": min(own.accuracy() for own in clean.by_class().values()),
            **_by_class(clean, triggered, evidence.target, classes),
        }

    def rows(self, evidence: Evidence) -> dict[str, RowValues]:
        """The shares among the values, as zeros and ones by row."""
        clean = Answers.of(evidence.clean, "clean rows", classes=len(evidence.task.classes))
        triggered = _stamped(evidence, evidence.triggered, "triggered rows")
        floor = _stamped(evidence, evidence.floor, "triggered rows, control")
        found = {"clean_accuracy": _rows(clean, clean.right())}
        for name, answers in (("asr", triggered), ("asr_floor", floor)):
            if answers is not None and evidence.target is not None:
                found[name] = _rows(answers, answers.taken(evidence.target))
        if triggered is not None:
            found["lfr"] = _rows(triggered, triggered.flipped())
            found["robust_accuracy"] = _rows(triggered, triggered.right())
        return found


def defense_effectiveness_rating(*, asr_drop: float, accuracy_drop: float) -> float:
    """DER = [max(0, ASR drop) - max(0, accuracy drop) + 1] / 2, in [0, 1].

    Zhu et al. 2023 (FT-SAM), eq. 7. A drop is the undefended value minus the defended one, so a
    fall in ASR raises the rating and a fall in accuracy lowers it; 0.5 is a defense that
    changes neither, and a gain counts no more than no drop.

    Published code also has a version that adds the accuracy drop. That one rewards harm: it
    gives its highest rating, 1.5, to a defense that stops the attack and loses all accuracy.

    Args:
        asr_drop: ASR before minus after, in [-1, 1].
        accuracy_drop: Clean accuracy before minus after, in [-1, 1].
    """
    return (max(0.0, asr_drop) - max(0.0, accuracy_drop) + 1) / 2


def _stamped(evidence: Evidence, predictions: Predictions | None, where: str) -> Answers | None:
    """Answers to triggered rows; None where there is no attack."""
    if predictions is not None:
        return Answers.of(predictions, where, classes=len(evidence.task.classes))
    if evidence.target is None:
        return None
    raise InputError(
        "an attack's success cannot be measured without its triggered rows",
        where=where,
        found="no predictions",
        expected=f"predictions for the target {evidence.target}",
        next="give the predictions to the metric",
    )


def _rows(answers: Answers, yes: np.ndarray[Any, Any]) -> RowValues:
    return RowValues(answers.ids, yes.astype(np.float64))


def _asr(answers: Answers | None, target: int | None) -> float | None:
    return None if answers is None or target is None else answers.share_of(target)


def _by_class(
    clean: Answers, triggered: Answers | None, target: int | None, classes: int
) -> dict[str, float | None]:
    """Accuracy and attack success rate by true class; None for a class without such rows."""
    rows = clean.by_class()
    stamped = {} if triggered is None else triggered.by_class()
    values: dict[str, float | None] = {}
    for number in range(classes):
        values[f"class_accuracy.{number}"] = rows[number].accuracy() if number in rows else None
        values[f"class_asr.{number}"] = _asr(stamped.get(number), target)
    return values
