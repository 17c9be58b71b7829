"""What a suite may set for the model families that come with the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from bdbench.api import ComponentConfig
from bdbench.builtin.sources import require_revision

__all__ = ["EncoderConfig", "FolderModelConfig", "HubModelConfig", "TinyBertConfig"]


class EncoderConfig(ComponentConfig):
    """What all encoders have in common."""

    max_length: int = Field(
        default=128, ge=4, le=4096, description="Tokens of a row that are kept; the rest is cut."
    )


class FolderModelConfig(EncoderConfig):
    """An encoder in a folder on this machine."""

    path: Path = Field(
        description="Folder with config.json, model.safetensors and a tokenizer. Only the"
        " encoder is taken from it; the head is always a fresh one."
    )


class HubModelConfig(EncoderConfig):
    """An encoder of the Hugging Face Hub."""

    name: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="Name on the Hub, for instance google-bert/bert-base-uncased.",
    )
    revision: str = Field(description="Commit (40 hex digits) or tag; never a branch.")

    @model_validator(mode="before")
    @classmethod
    def _pinned(cls, data: Any) -> Any:
        return require_revision(data, kind="model")


class TinyBertConfig(EncoderConfig):
    """A small BERT that was never trained."""

    max_length: int = Field(
        default=128, ge=4, le=512, description="Tokens of a row that are kept; the rest is cut."
    )
    hidden_size: int = Field(default=64, ge=2, description="Width of a layer.")
    layers: int = Field(default=2, ge=1, description="Number of layers.")
    heads: int = Field(default=2, ge=1, description="Attention heads of a layer.")
    intermediate_size: int = Field(
        default=256, ge=1, description="Width of the feed-forward part of a layer."
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout, everywhere.")

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError("hidden_size must be a multiple of heads")
        return self
