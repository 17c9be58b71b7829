"""What every way to merge is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bdbench.api import Checkpoint, DefenderView

if TYPE_CHECKING:
    import torch

__all__ = ["Merging", "total", "weighted_total"]


@dataclass(frozen=True, slots=True)
class Merging:
    """A merge that is about to run.

    Attributes:
        models: The victim, then the references, by the names that messages use.
        view: What the defender has: base weights, clean rows, randomness, work done for it. A
            method on task vectors gets the base weights as the last part of each tensor.
        files: Files that a method opens for its rule; closed once the merge is done.
        notes: A method may add facts for the record, until the merge is done.
    """

    models: Mapping[str, Checkpoint]
    view: DefenderView
    files: ExitStack
    notes: dict[str, Any] = field(default_factory=dict)


def total(values: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum, added in this order, as a new tensor."""
    result = values[0].clone()
    for value in values[1:]:
        result += value
    return result


def weighted_total(values: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """The sum of each value times its weight, added in this order, as a new tensor."""
    return total([value * weight for value, weight in zip(values, weights, strict=True)])
