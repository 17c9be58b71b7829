"""A classifier's answers to one set of rows, checked before anything is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bdbench.api import ABSTAIN, InputError, NonFiniteError, Predictions

__all__ = ["Answers"]

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """Predicted and true classes of the same rows.

    Attributes:
        where: Which rows, for messages.
        predicted: Class numbers, `ABSTAIN` for rejected rows, shape [n], n > 0.
        labels: True class numbers, shape [n].
    """

    where: str
    predicted: _Array
    labels: _Array

    @classmethod
    def of(cls, predictions: Predictions, where: str) -> Answers:
        """Reads and checks a table of predictions.

        Raises:
            NonFiniteError: A prediction, or a probability of a row that was answered, is NaN
                or infinite. The class that argmax then names means nothing.
            InputError: There is no column ``prediction``, there are no rows, or predictions
                or labels are not one class number a row.
        """
        if "prediction" not in predictions.columns:
            raise InputError(
                "the model's answers have no predicted classes",
                where=where,
                found=f"the columns {', '.join(predictions.columns) or '(none)'}",
                expected="a column `prediction` of class numbers",
                next="leave the metric out, or let the model's `read` give this column",
            )
        if len(predictions) == 0:
            raise InputError(
                "there are no rows to measure on",
                where=where,
                found="0 rows",
                expected="at least one",
                next="use a larger test set, in which not every row is of the target class",
            )
        predicted = _class_numbers(
            predictions.columns["prediction"], len(predictions), ABSTAIN, f"{where}, prediction"
        )
        labels = _class_numbers(predictions.labels, len(predictions), 0, f"{where}, labels")
        if "probabilities" in predictions.columns:
            answered = predictions.columns["probabilities"][predicted != ABSTAIN]
            _refuse_non_finite(answered, f"{where}, probabilities")
        return cls(where, predicted, labels)

    def accuracy(self) -> float:
        """The share of rows that get their true label; an abstention is not an answer."""
        return float(np.count_nonzero(self.predicted == self.labels) / len(self.labels))

    def share_of(self, target: int) -> float:
        """The share of rows that get this class.

        Raises:
            InputError: A row's true label is that class: it cannot tell success from a right
                answer, and should not have come here.
        """
        own = np.count_nonzero(self.labels == target)
        if own:
            raise InputError(
                "triggered rows of the target class cannot count for the attack",
                where=self.where,
                found=f"{own} of {len(self.labels)} rows whose true label is the target {target}",
                expected="only rows of other classes",
                next="correct the attack's `eligible`",
            )
        return float(np.count_nonzero(self.predicted == target) / len(self.labels))


def _class_numbers(column: _Array, rows: int, least: int, where: str) -> _Array:
    _refuse_non_finite(column, where)
    if column.shape != (rows,) or column.dtype.kind not in "iu" or column.min() < least:
        raise InputError(
            "the values are not one class number for each row",
            where=where,
            found=f"{column.dtype} of shape {column.shape}"
            + (f", least {column.min()}" if column.dtype.kind in "iu" and column.size else ""),
            expected=f"integers of shape ({rows},), none below {least}",
            next="correct the labels of the data set, or what the model's `read` gives",
        )
    return column


def _refuse_non_finite(values: _Array, where: str) -> None:
    if values.dtype.kind != "f":
        return
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise NonFiniteError(
            "the model's answers are not finite",
            where=where,
            found=f"{bad} of {values.size} values NaN or infinite",
            expected="finite values",
            next="look for weights that overflow in the model or its repair",
        )
