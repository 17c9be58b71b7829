"""The answers that a stage ``predictions`` left, read without torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FILE", "SCREENING", "Answer", "read_answers"]

FILE = "predictions.parquet"
"""One line per row: ``id``, ``label``, and ``output.<column>`` for what the model said."""

SCREENING = "screening"
"""Under what the stage says what screens that look at the model took of its cost."""

PREDICTION = "output.prediction"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a classifier said of one row.

    Attributes:
        label: The true class.
        prediction: The class that it named; `bdbench.api.ABSTAIN` where a screen rejected it.
    """

    label: int
    prediction: int


def read_answers(folder: Path, ids: Collection[int] | None = None) -> dict[int, Answer]:
    """The answers by row, in the order of the file; empty where the model is no classifier.

    Args:
        folder: Of the stage.
        ids: Only these rows.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 -- a tenth of a second

    if PREDICTION not in pq.read_schema(folder / FILE).names:
        return {}
    columns = pq.read_table(folder / FILE, columns=["id", "label", PREDICTION]).to_pydict()
    rows = zip(columns["id"], columns["label"], columns[PREDICTION], strict=True)
    return {
        row: Answer(label, prediction)
        for row, label, prediction in rows
        if ids is None or row in ids
    }
