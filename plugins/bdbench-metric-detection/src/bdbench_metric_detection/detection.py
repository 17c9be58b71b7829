"""The metric: what screens and filters made of clean and of poisoned rows."""

from __future__ import annotations

from bdbench.api import Decisions, Evidence, InputError, Metric, Predictions
from bdbench_metric_detection.judged import Judged, auroc, tpr_at_fpr

__all__ = ["Detection"]


class Detection(Metric):
    """How well a defense tells poisoned rows, the positives, from clean ones.

    Of a screen the positives are the triggered test rows and the negatives all clean test
    rows, those of the target class too: the defender faces them all. Of a filter they are the
    training rows that the attacker changed or added, and all others.
    """

    def measure(self, evidence: Evidence) -> dict[str, float | None]:
        """The values that the spec lists.

        None where the defense has no screen or no filter, and where there are no rows of the
        kinds that a value needs: on the control, which has no poisoned rows, the false
        rejection rates remain.

        Raises:
            NonFiniteError: A score is NaN or infinite.
            InputError: Scores or decisions are not one for each row, or only one of the two
                test sets was screened.
        """
        screened = _screened(evidence.clean, evidence.triggered)
        filtered = _filtered(evidence.filtering)
        return _values("screen", *screened) | _values("filter", *filtered)


def _values(prefix: str, poisoned: Judged, clean: Judged) -> dict[str, float | None]:
    return {
        f"{prefix}_auroc": auroc(poisoned, clean),
        f"{prefix}_tpr_at_1_fpr": tpr_at_fpr(poisoned, clean, 0.01),
        f"{prefix}_tpr_at_5_fpr": tpr_at_fpr(poisoned, clean, 0.05),
        f"{prefix}_frr": clean.alarm_rate(),
        f"{prefix}_far": poisoned.pass_rate(),
    }


def _screened(clean: Predictions, triggered: Predictions | None) -> tuple[Judged, Judged]:
    """Triggered and clean rows, as the screen saw them."""
    tables = {"clean rows": clean, "triggered rows": triggered}
    given = {where: table for where, table in tables.items() if table is not None and len(table)}
    without = [where for where, table in given.items() if table.scores is None]
    if without and len(without) < len(given):
        raise InputError(
            "only one of the two test sets was screened",
            where=without[0],
            found="no suspicion scores",
            expected="scores, as for the other test set",
            next="screen both with the same defense",
        )
    judged = {where: _judged(table, where) for where, table in given.items()}
    return judged.get("triggered rows", Judged.none()), judged.get("clean rows", Judged.none())


def _judged(table: Predictions, where: str) -> Judged:
    if table.scores is None:
        return Judged.none()
    alarms = table.rejected if table.rewritten is None else table.rejected | table.rewritten
    return Judged.of(table.scores, alarms, len(table), f"{where}, screen")


def _filtered(filtering: Decisions | None) -> tuple[Judged, Judged]:
    """Poisoned and clean training rows, as the filter saw them."""
    if filtering is None:
        return Judged.none(), Judged.none()
    rows = Judged.of(filtering.scores, ~filtering.kept, len(filtering.ids), "training rows, filter")
    return rows.where(filtering.poisoned), rows.where(~filtering.poisoned)
