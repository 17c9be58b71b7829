"""What every way to merge is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bdbench.api import Checkpoint, SeedStream

if TYPE_CHECKING:
    import torch

__all__ = ["Merging", "total"]


@dataclass(frozen=True, slots=True)
class Merging:
    """A merge that is about to run.

    Attributes:
        models: The victim, then the references, by the names that messages use.
        base: The pre-trained weights, where the method uses them. Its rule then gets them as
            the last part of each tensor.
        seeds: For methods that draw at random.
        notes: A method may add facts for the record, until the merge is done.
    """

    models: Mapping[str, Checkpoint]
    base: Checkpoint | None
    seeds: SeedStream
    notes: dict[str, Any] = field(default_factory=dict)


def total(values: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum, added in this order, as a new tensor."""
    result = values[0].clone()
    for value in values[1:]:
        result += value
    return result
