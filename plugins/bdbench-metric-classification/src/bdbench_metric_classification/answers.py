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
        ids: The rows, shape [n], n > 0.
        predicted: Class numbers, `ABSTAIN` for rejected rows, shape [n].
        labels: True class numbers, shape [n].
    """

    where: str
    ids: _Array
    predicted: _Array
    labels: _Array

    @classmethod
    def of(cls, predictions: Predictions, where: str, *, classes: int) -> Answers:
        """Reads and checks a table of predictions.

        Args:
            predictions: The table.
            where: Which rows, for messages.
            classes: How many classes the task has; 0 if it does not say.

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
        rows, most = len(predictions), classes - 1 if classes else None
        predicted = _class_numbers(
            predictions.columns["prediction"], rows, ABSTAIN, most, f"{where}, prediction"
        )
        labels = _class_numbers(predictions.labels, rows, 0, most, f"{where}, labels")
        if "probabilities" in predictions.columns:
            answered = predictions.columns["probabilities"][predicted != ABSTAIN]
            _refuse_non_finite(answered, f"{where}, probabilities")
        return cls(where, predictions.ids, predicted, labels)

    def right(self) -> _Array:
        """Whether a row gets its true label, shape [n]; an abstention is not an answer."""
        return np.asarray(self.predicted == self.labels)

    def accuracy(self) -> float:
        """The share of rows that get their true label."""
        return _share(self.right())

    def by_class(self) -> dict[int, Answers]:
        """The answers by the true class of their rows; a class without rows is not there."""
        return {
            int(number): Answers(self.where, self.ids[own], self.predicted[own], self.labels[own])
            for number in np.unique(self.labels)
            for own in [self.labels == number]
        }

    def flipped(self) -> _Array:
        """Whether a row gets a class other than its true label, shape [n].

        An abstention names no class, so it is no flip.
        """
        return np.asarray((self.predicted != self.labels) & (self.predicted != ABSTAIN))

    def flip_rate(self) -> float:
        """The share of rows that get a class other than their true label."""
        return _share(self.flipped())

    def share_of(self, target: int) -> float:
        """The share of rows that get this class; see `taken`."""
        return _share(self.taken(target))

    def taken(self, target: int) -> _Array:
        """Whether a row gets this class, shape [n].

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
        return np.asarray(self.predicted == target)


def _share(rows: _Array) -> float:
    return float(np.count_nonzero(rows) / len(rows))


def _class_numbers(column: _Array, rows: int, least: int, most: int | None, where: str) -> _Array:
    _refuse_non_finite(column, where)
    whole = column.dtype.kind in "iu"
    fits = column.shape == (rows,) and whole
    if not fits or column.min() < least or (most is not None and column.max() > most):
        seen = f", {column.min()} to {column.max()}" if whole and column.size else ""
        limit = f"none below {least}" if most is None else f"from {least} to {most}"
        raise InputError(
            "the values are not one class number for each row",
            where=where,
            found=f"{column.dtype} of shape {column.shape}{seen}",
            expected=f"integers of shape ({rows},), {limit}",
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
