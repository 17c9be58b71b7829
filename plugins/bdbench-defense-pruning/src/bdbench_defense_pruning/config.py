"""The settings of `fine-pruning`, `magnitude-pruning` and `pure`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bdbench.api import DefenseConfig, Needs, Recipe

__all__ = ["FinePruningConfig", "MagnitudePruningConfig", "PureConfig"]

Share = Annotated[float, Field(ge=0, lt=1)]


class RepairRecipe(DefenseConfig, Recipe):
    """How the pruned model is fine-tuned on the clean rows: the host's recipe, gentler."""

    epochs: int = Field(default=10, ge=1, description="Passes over the clean rows.")
    batch_size: int = Field(default=16, ge=1, description="Rows in each gradient step.")
    learning_rate: float = Field(
        default=7.5e-5,
        gt=0,
        allow_inf_nan=False,
        description="Highest learning rate of the fine-tuning, reached after the warm-up.",
    )


class AmountConfig(RepairRecipe):
    """How much is pruned: a share, or the largest one that the clean rows allow."""

    amount: Share | Literal["auto"] = Field(
        default="auto",
        description="Share that is pruned; `auto`: as much as the accuracy on clean rows allows.",
    )
    step: float = Field(
        default=0.05, gt=0, lt=1, description="`amount: auto`: pruned between two measurements."
    )
    tolerance: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="`amount: auto`: how far the accuracy may fall, in points of 1.",
    )
    fine_tune: bool = Field(
        default=True, description="Whether the pruned model is fine-tuned on the clean rows."
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        fields = type(self).model_fields
        changed = [name for name in fields if getattr(self, name) != fields[name].default]
        for name in changed:
            if self.amount != "auto" and name in ("step", "tolerance"):
                raise ValueError(f"{name!r} means something only where amount is auto")
            if not self.fine_tune and name in Recipe.model_fields:
                raise ValueError(f"{name!r} means something only where fine_tune is true")
        return self


class FinePruningConfig(AmountConfig):
    """Settings of Fine-Pruning."""

    layers: Literal["last", "all"] = Field(
        default="all",
        description="Which feed-forward blocks are pruned: all, or as in the paper the last one.",
    )

    def needs(self, declared: Needs) -> Needs:
        """Twice the rows if the amount is chosen: some to rank by, some to measure on."""
        if self.amount != "auto":
            return declared
        return replace(declared, clean_rows=2 * declared.clean_rows)


class MagnitudePruningConfig(AmountConfig):
    """Settings of magnitude pruning."""

    scope: Literal["global", "layer"] = Field(
        default="global",
        description="Whether the smallest weights are sought among all matrices together or in "
        "each by itself.",
    )


class PureConfig(RepairRecipe):
    """Settings of PURE; the defaults that are no recipe's are those of the published code."""

    group: int = Field(
        default=10, ge=1, description="Heads that are pruned between two measurements."
    )
    least_accuracy: float = Field(
        default=0.85,
        ge=0,
        le=1,
        description="Heads are pruned while the accuracy on held-out clean rows is at least this.",
    )
    tolerance: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="If given, takes the place of `least_accuracy`: how far the accuracy may fall "
        "below that of the model with all heads, in points of 1.",
    )
    penalty: float = Field(
        default=0.15,
        ge=0,
        allow_inf_nan=False,
        description="Factor of the attention normalisation in the loss.",
    )
    row_length: int = Field(
        default=128,
        ge=3,
        description="Tokens that every text is thought padded to when the variance of its [CLS] "
        "row is taken; the row's last entry is left out.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        published: float = type(self).model_fields["least_accuracy"].default
        if self.tolerance is not None and self.least_accuracy != published:
            raise ValueError("give 'least_accuracy' or 'tolerance', not both")
        return self
