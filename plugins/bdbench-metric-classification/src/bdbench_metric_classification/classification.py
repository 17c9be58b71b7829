"""The metric: counts on clean and triggered rows, and what follows from them."""

from __future__ import annotations

from bdbench.api import Evidence, InputError, Metric, Predictions
from bdbench_metric_classification.answers import Answers

__all__ = ["Classification", "defense_effectiveness_rating"]


class Classification(Metric):
    """Accuracy and attack success of a classifier.

    A row on which an input screen abstained counts as a wrong answer if it is clean. If it is
    triggered, the attack was stopped, but the row did not get its true label either: it stays
    in the denominator of both shares and in the numerator of neither.
    """

    def measure(self, evidence: Evidence) -> dict[str, float | None]:
        """The values that the spec lists.

        Without a target `asr`, `asr_floor`, `asr_change` and `der` are None; without triggered
        rows, as for the control, `robust_accuracy` is None too.

        Raises:
            NonFiniteError: A model's answers are NaN or infinite.
            InputError: A table is empty, missing or not one of class numbers, or triggered
                rows are of the target class.
        """
        accuracy = Answers.of(evidence.clean, "clean rows").accuracy()
        before = Answers.of(evidence.undefended_clean, "clean rows, undefended").accuracy()
        control = Answers.of(evidence.control_clean, "clean rows, control").accuracy()
        values: dict[str, float | None] = {
            "clean_accuracy": accuracy,
            "clean_accuracy_change": accuracy - before,
            "asr": None,
            "asr_change": None,
            "asr_floor": None,
            "robust_accuracy": None,
            "der": None,
            "accuracy_vs_control": accuracy - control,
        }
        if evidence.triggered is not None:
            robust = Answers.of(evidence.triggered, "triggered rows").accuracy()
            values["robust_accuracy"] = robust
        if evidence.target is not None:
            asr = _asr(evidence.triggered, evidence.target, "triggered rows")
            asr_before = _asr(
                evidence.undefended_triggered, evidence.target, "triggered rows, undefended"
            )
            values["asr"] = asr
            values["asr_floor"] = _asr(evidence.floor, evidence.target, "triggered rows, control")
            values["asr_change"] = asr - asr_before
            values["der"] = defense_effectiveness_rating(
                asr_drop=asr_before - asr, accuracy_drop=before - accuracy
            )
        return values


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


def _asr(predictions: Predictions | None, target: int, where: str) -> float:
    if predictions is None:
        raise InputError(
            "an attack's success cannot be measured without its triggered rows",
            where=where,
            found="no predictions",
            expected=f"predictions for the target {target}",
            next="give the predictions to the metric",
        )
    return Answers.of(predictions, where).share_of(target)
