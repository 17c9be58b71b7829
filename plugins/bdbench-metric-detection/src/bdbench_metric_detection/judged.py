"""What a defense made of rows of one kind, and how two kinds compare.

scikit-learn takes seconds to import, so only what has scores to compare imports it: most
defenses have neither screen nor filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bdbench.api import InputError, NonFiniteError

__all__ = ["Judged", "auroc", "tpr_at_fpr"]

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows, by what a defense made of them.

    Attributes:
        scores: How suspicious each row is, higher meaning more so, shape [n].
        alarms: Whether the defense acted against the row, shape [n].
    """

    scores: _Array
    alarms: _Array

    @classmethod
    def none(cls) -> Judged:
        """No rows."""
        return cls(np.empty(0), np.empty(0, dtype=bool))

    @classmethod
    def of(cls, scores: _Array, alarms: _Array, rows: int, where: str) -> Judged:
        """Checked scores and alarms of so many rows.

        Raises:
            NonFiniteError: A score is NaN or infinite.
            InputError: They are not one number and one yes or no for each row.
        """
        numbers = scores.shape == (rows,) and scores.dtype.kind in "iuf"
        if not numbers or alarms.shape != (rows,) or alarms.dtype.kind != "b":
            raise InputError(
                "there is not one score and one decision for each row",
                where=where,
                found=f"scores {scores.dtype} {scores.shape}, decisions {alarms.dtype} "
                f"{alarms.shape}",
                expected=f"numbers ({rows},), booleans ({rows},)",
                next="tell the authors of the defense",
            )
        bad = np.count_nonzero(~np.isfinite(scores))
        if bad:
            raise NonFiniteError(
                "the suspicion scores are not finite",
                where=where,
                found=f"{bad} of {rows} NaN or infinite",
                expected="finite scores",
                next="tell the authors of the defense",
            )
        return cls(scores, alarms)

    def where(self, chosen: _Array) -> Judged:
        """Some of the rows, by a mask of shape [n]."""
        return Judged(self.scores[chosen], self.alarms[chosen])

    def alarm_rate(self) -> float | None:
        """The share of rows with an alarm; None of no rows."""
        return _share(self.alarms)

    def pass_rate(self) -> float | None:
        """The share of rows without an alarm; None of no rows."""
        return _share(~self.alarms)


def auroc(poisoned: Judged, clean: Judged) -> float | None:
    """The area under the ROC curve of the scores, in [0, 1]; None if there are no such rows.

    That is the probability that a poisoned row has a higher score than a clean one, with ties
    counted half.
    """
    truth, scores = _together(poisoned, clean)
    if not 0 < truth.sum() < len(truth):
        return None
    from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]  # noqa: PLC0415

    return float(roc_auc_score(truth, scores))


def tpr_at_fpr(poisoned: Judged, clean: Judged, limit: float) -> float | None:
    """The best true positive rate at a false positive rate of at most `limit`, in [0, 1].

    A threshold raises an alarm on each row whose score reaches it, so rows of equal score go
    together. Only thresholds that exist count; there is no interpolation between them. None if
    there are no poisoned or no clean rows.
    """
    truth, scores = _together(poisoned, clean)
    if not 0 < truth.sum() < len(truth):
        return None
    from sklearn.metrics import roc_curve  # noqa: PLC0415

    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    return float(tpr[fpr <= limit].max())


def _together(poisoned: Judged, clean: Judged) -> tuple[_Array, _Array]:
    truth = np.arange(len(poisoned.scores) + len(clean.scores)) < len(poisoned.scores)
    return truth, np.concatenate([poisoned.scores, clean.scores])


def _share(yes: _Array) -> float | None:
    return float(np.count_nonzero(yes) / len(yes)) if len(yes) else None
