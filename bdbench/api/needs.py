"""What a defense must be given: declared by its spec, granted by the suite."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Access", "Needs"]


class Access(enum.IntEnum):
    """How far into the victim a defense can reach; each level includes those before it."""

    NONE = 0
    OUTPUTS = 1
    GRADIENTS = 2
    WEIGHTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The least that a defense can work with. It is handed exactly the kinds it names.

    Attributes:
        access: How far into the victim it reaches.
        clean_rows: The fewest labelled clean rows; 0 means that it is given none.
        references: The fewest reference models (same architecture and head); 0 means none.
        base_weights: The clean pre-trained weights that the victim started from.
        training_data: The victim's (poisoned) training rows.
        external_model: It brings a model of its own, for instance a language model.
    """

    access: Access = Access.NONE
    clean_rows: int = 0
    references: int = 0
    base_weights: bool = False
    training_data: bool = False
    external_model: bool = False

    def __or__(self, other: Needs) -> Needs:
        """What a composition of two defenses needs."""
        return Needs(
            access=max(self.access, other.access),
            clean_rows=max(self.clean_rows, other.clean_rows),
            references=max(self.references, other.references),
            base_weights=self.base_weights or other.base_weights,
            training_data=self.training_data or other.training_data,
            external_model=self.external_model or other.external_model,
        )

    def describe(self) -> str:
        """A few words for a table, for instance ``weights, 64 clean rows``."""
        parts = [self.access.name.lower()] if self.access else []
        if self.clean_rows:
            parts.append(f"{self.clean_rows}+ clean rows")
        if self.references:
            parts.append(f"{self.references}+ reference models")
        if self.base_weights:
            parts.append("base weights")
        if self.training_data:
            parts.append("training data")
        if self.external_model:
            parts.append("own model")
        return ", ".join(parts) or "nothing"
