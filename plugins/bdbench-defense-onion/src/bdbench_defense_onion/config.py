"""The settings of `onion` and `onion-filter`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bdbench.api import DefenseConfig, Needs

__all__ = ["OnionConfig", "OnionFilterConfig", "Precision"]

Precision = Literal["fp32", "bf16"]

_HUB_NAME = re.compile(r"hf:[\w.-]+/[\w.-]+@[0-9a-f]{40}")

HubName = Annotated[str, Field(pattern="^hf:")]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class OnionConfig(DefenseConfig):
    """Which language model judges the texts, and which words are too suspicious to stay.

    A setting that would have no effect is refused.
    """

    language_model: HubName | Path | None = Field(
        default=None,
        union_mode="left_to_right",
        description="Folder of a causal language model of transformers with its tokenizer "
        "(safetensors), or hf:owner/name@<commit> on the Hugging Face Hub; the paper's is GPT-2. "
        "If not set, a unigram model over general English word frequencies takes its place.",
    )
    precision: Precision = Field(
        default="fp32",
        description="Arithmetic of the language model; bf16 keeps sums, output layer and "
        "softmax in fp32.",
    )
    max_tokens: int = Field(
        default=256,
        ge=8,
        description="Longest text, in tokens, that the language model judges as a whole; a "
        "longer one is halved between words until its parts fit.",
    )
    threshold: Literal["auto"] | Finite = Field(
        default="auto",
        description="A word goes if its suspicion, PPL(text) - PPL(text without the word), is "
        "greater than this; auto takes it from the clean rows.",
    )
    quantile: float = Field(
        default=0.99,
        gt=0,
        lt=1,
        description="threshold auto: the share of the clean rows' words that must stay.",
    )
    fields: list[str] | None = Field(
        default=None,
        min_length=1,
        description="The input columns that are screened, each on its own; all if not set.",
    )

    @field_validator("language_model", mode="before")
    @classmethod
    def _pinned(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("hf:") and not _HUB_NAME.fullmatch(value):
            raise ValueError(
                "a language model on the Hugging Face Hub is written hf:owner/name@<commit>, "
                "with the 40 hexadecimal digits of a commit, since what a branch holds can change"
            )
        return value

    @model_validator(mode="after")
    def _used(self) -> OnionConfig:
        idle = []
        if self.language_model is None:
            idle += [("precision", "language_model"), ("max_tokens", "language_model")]
        if self.threshold != "auto":
            idle += [("quantile", "threshold: auto")]
        for name, needed in idle:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name!r} means nothing without `{needed}`")
        return self

    def needs(self, declared: Needs) -> Needs:
        """Clean rows if the threshold comes from them; a language model is a model of its own."""
        return replace(
            declared,
            clean_rows=declared.clean_rows if self.threshold == "auto" else 0,
            external_model=self.language_model is not None,
        )


class OnionFilterConfig(OnionConfig):
    """Settings of `onion-filter`."""

    action: Literal["rewrite", "drop"] = Field(
        default="rewrite",
        description="What becomes of a training row with a suspicious word: rewrite takes the "
        "words out and keeps the row, drop takes the row out.",
    )
