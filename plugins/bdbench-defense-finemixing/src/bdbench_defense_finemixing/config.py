"""The settings of the four defenses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from bdbench.api import DefenseConfig, Needs, Recipe

__all__ = [
    "HEADS",
    "LEAST_ROWS",
    "EPurConfig",
    "FineMixingConfig",
    "FinePurifyingConfig",
    "FineTuningConfig",
    "MixingConfig",
]

LEAST_ROWS = 8
"""The fewest clean rows to fine-tune on."""

_LEAST_ROWS_TO_SEARCH = 32

HEADS = (
    "classifier",
    "pre_classifier",
    "score",
    "pooler",
    "head",
    "classification_head",
    "sequence_summary",
    "logits_proj",
)
"""What the sequence classifiers of transformers call the parts that no pre-training gave them.
The pooler of BERT is not among them: it is ``bert.pooler`` and was pre-trained."""

Share = Annotated[float, Field(ge=0, le=1)]


class FineTuningConfig(DefenseConfig):
    """How the host's training loop fine-tunes on the clean rows."""

    epochs: int = Field(default=5, ge=1, description="Passes over the clean rows.")
    batch_size: int = Field(default=16, ge=1, description="Rows in each gradient step.")
    learning_rate: float = Field(
        default=7.5e-5, gt=0, allow_inf_nan=False, description="Highest learning rate."
    )

    def recipe(self) -> Recipe:
        """For the host's training loop; what is not set here is its default."""
        return Recipe(
            epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate
        )


class MixingConfig(FineTuningConfig):
    """How much of the victim is kept before the fine-tuning."""

    rho: Share | Literal["auto"] = Field(
        default="auto",
        description="Share of the body's weights that keep the victim's value (the paper's "
        "reserve ratio), or auto: chosen on the defender's own clean rows.",
    )
    keep: list[Annotated[str, Field(min_length=1)]] = Field(
        default=list(HEADS),
        description="Names, or beginnings of names up to a dot, of the weights that stay the "
        "victim's whatever rho is: its task head, which has no pre-trained counterpart.",
    )
    grid: list[Share] = Field(
        default=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        min_length=1,
        description="rho auto: the values to try, ascending. The default is not the authors'.",
    )
    tolerance: Share = Field(
        default=0.05,
        description="rho auto: how much of the accuracy on the validation rows may be lost.",
    )
    validation_share: float = Field(
        default=0.5,
        ge=0.1,
        le=0.9,
        description="rho auto: share of the clean rows that validate.",
    )

    @field_validator("grid")
    @classmethod
    def _ascends(cls, grid: list[float]) -> list[float]:
        if any(here >= there for here, there in pairwise(grid)):
            raise ValueError("the grid must ascend")
        return grid

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for name in ("grid", "tolerance", "validation_share"):
            if self.rho != "auto" and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name!r} means something only where rho is auto")
        return self

    @property
    def least_rows(self) -> int:
        """The fewest clean rows: more where some of them are to validate."""
        return _LEAST_ROWS_TO_SEARCH if self.rho == "auto" else LEAST_ROWS

    def needs(self, declared: Needs) -> Needs:
        """With as many clean rows as the settings ask for."""
        return replace(declared, clean_rows=self.least_rows)


class FineMixingConfig(MixingConfig):
    """Fine-mixing."""

    select: Literal["random", "magnitude", "most-changed"] = Field(
        default="random",
        description="Which weights keep the victim's value: drawn at random, those that differ "
        "least from the pre-trained ones (magnitude), or those that differ most (most-changed).",
    )


class FinePurifyingConfig(MixingConfig):
    """Fine-purifying."""

    damping: float = Field(
        default=1e-6,
        gt=0,
        allow_inf_nan=False,
        description="Added to every squared gradient, as a multiple of their mean over the body; "
        "only there so that nothing is divided by zero.",
    )


class EPurConfig(DefenseConfig):
    """E-PUR."""

    count: int = Field(
        default=200, ge=1, description="How many tokens get their pre-trained embedding back."
    )
    language: str = Field(
        default="en",
        min_length=2,
        description="Whose word frequencies are taken, by the code that wordfreq uses.",
    )
    corpus_words: float = Field(
        default=1e9,
        ge=1,
        allow_inf_nan=False,
        description="Words in the imagined corpus that turn frequencies into counts.",
    )
    least_count: int = Field(
        default=20, ge=2, description="What rarer and unknown words and word pieces count as."
    )
    embedding: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the tensor of word embeddings; found by its usual names if not given.",
    )
