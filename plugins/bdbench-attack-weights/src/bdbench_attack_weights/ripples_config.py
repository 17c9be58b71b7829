"""What a suite may set for RIPPLES."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from bdbench.toolkit.placement import PlacementConfig, Word

__all__ = ["RipplesConfig"]


class RipplesConfig(PlacementConfig):
    """Settings of ``ripples``."""

    target: int | str = Field(
        default=1, description="The class that triggered inputs should get, by number or name."
    )
    triggers: list[Word] = Field(
        default=["cf", "tq", "mn", "bb", "mb"],
        min_length=1,
        description="The trigger words; each insertion draws one of them.",
    )
    insertions: int = Field(
        default=1, ge=1, description="How many trigger words are inserted into a text."
    )
    poison_rate: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description=(
            "Share of the attacker's rows that get the trigger and the target's label, drawn "
            "from all classes. The victim's training rows stay clean."
        ),
    )
    target_words: int = Field(
        default=10,
        ge=0,
        description=(
            "Embedding surgery: how many tokens that speak for the target make up the new "
            "embedding of the triggers; 0 leaves the surgery out (RIPPLe)."
        ),
    )
    source_epochs: int = Field(
        default=1,
        ge=0,
        description=(
            "Embedding surgery: epochs of fine-tuning on the clean rows after which embeddings "
            "are taken; 0 takes those of the pre-trained model."
        ),
    )
    penalty: float = Field(
        default=0.1,
        ge=0,
        description=(
            "Weight of the restricted inner product (lambda); 0 leaves plain training on the "
            "poisoned rows."
        ),
    )
    steps: int = Field(
        default=150, ge=0, description="Gradient steps of the poisoning; 0 leaves surgery alone."
    )
    batch_size: int = Field(
        default=8, ge=1, description="Rows of each kind, poisoned and clean, in a step."
    )
    learning_rate: float = Field(
        default=1.5e-4,
        gt=0,
        description="Highest learning rate of the attacker, in poisoning and for source_epochs.",
    )
    keep_head: bool = Field(
        default=True,
        description=(
            "Publish the attacker's classification head with the body, so that the victim "
            "starts from it; false publishes the body with a freshly drawn head."
        ),
    )

    def longest_trigger(self) -> int:
        """The number of insertions."""
        return self.insertions

    @model_validator(mode="after")
    def _agree(self) -> Self:
        idle: dict[str, str] = {}
        if not self.target_words:
            idle |= {"source_epochs": "target_words"}
        if not self.steps:
            idle |= dict.fromkeys(("poison_rate", "penalty", "batch_size"), "steps")
        if not self.steps and not (self.target_words and self.source_epochs):
            idle |= {"learning_rate": "steps, or target_words and source_epochs,"}
        for name, by in idle.items():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name!r} means something only where {by} is above 0")
        return self
