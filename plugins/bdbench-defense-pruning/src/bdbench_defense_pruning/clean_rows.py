"""What the clean rows are used for besides fine-tuning: a held-out half, and the accuracy on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdbench.api import Checkpoint, DefenderView, Examples, InputError, SeedStream

if TYPE_CHECKING:
    import torch

__all__ = ["accuracy", "halves"]


def halves(rows: Examples, seeds: SeedStream) -> tuple[Examples, Examples]:
    """Two random halves with the classes divided as evenly as their numbers allow.

    Of an odd number of rows, the first half has one more.

    Raises:
        InputError: There are fewer than two rows.
    """
    if len(rows) < 2:
        raise InputError(
            "too few clean rows to hold some of them out",
            found=str(len(rows)),
            expected="2 or more",
            next="grant more under `defender: clean_rows`",
        )
    order = list(range(len(rows)))
    seeds.random().shuffle(order)
    order.sort(key=lambda row: str(rows.labels[row]))
    return rows.select(order[0::2]), rows.select(order[1::2])


def accuracy(
    view: DefenderView, module: torch.nn.Module, like: Checkpoint, rows: Examples
) -> float:
    """The share of the rows that the module classifies as labelled."""
    predictions = view.engine.predict(module, like, rows)["prediction"]
    right = sum(
        int(said) == int(label) for said, label in zip(predictions, rows.labels, strict=True)
    )
    return right / len(rows)
