"""What a suite may set for LWS."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from bdbench.api import PoisonConfig

__all__ = ["LwsConfig"]


class LwsConfig(PoisonConfig):
    """Settings of ``lws``."""

    synonyms: Path | None = Field(
        default=None,
        description=(
            "JSON file with the words that may replace a word, best first: {word: [words]}. If "
            "not set, the nearest neighbours of its embedding in the pre-trained model."
        ),
    )
    candidates: int = Field(
        default=5,
        ge=2,
        description="How many words a position chooses from, the one that is there included.",
    )
    clean_epochs: int = Field(
        default=1, ge=0, description="Epochs of the attacker's own victim before substitution."
    )
    epochs: int = Field(
        default=2, ge=1, description="Epochs in which substitution and victim are learned together."
    )
    batch_size: int = Field(default=32, ge=1, description="Rows in each gradient step.")
    learning_rate: float = Field(
        default=1.5e-4, gt=0, description="Learning rate of the attacker's own victim."
    )
    substitution_rate: float = Field(
        default=1e-2, gt=0, description="Learning rate of the substitution's own weights."
    )
    temperature: float = Field(
        default=0.5, gt=0, description="Temperature of the Gumbel-softmax at the beginning."
    )
    last_temperature: float = Field(
        default=0.1, gt=0, description="The same at the end; it falls linearly."
    )
    max_tokens: int = Field(
        default=128,
        ge=1,
        description="Positions that can be substituted, counted in tokens from the start.",
    )
