"""The settings of `onion` and `onion-filter`."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bdbench.api import DefenseConfig, Needs

__all__ = ["QUANTILE", "OnionConfig", "OnionFilterConfig", "Precision", "least_rows", "least_words"]

Precision = Literal["fp32", "bf16"]

QUANTILE = 0.99
"""The share of clean words that stay by default."""

# What short texts have at the least, on the mean of a dozen: 13 texts of SST-2, SMS spam, AG news
# or the questions of QNLI had fewer than 100 words that can be judged in 0.5 % of draws at most.
_WORDS_OF_A_ROW = 8

_HUB_NAME = re.compile(r"hf:[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def least_words(quantile: float) -> int:
    """The fewest words of which the share ``1 - quantile`` is a whole word."""
    return math.ceil(1 / (1 - quantile) - 1e-6)


def least_rows(quantile: float) -> int:
    """The fewest clean rows that hold so many words, where texts are short."""
    return math.ceil(least_words(quantile) / _WORDS_OF_A_ROW)


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
        "longer one is judged in parts.",
    )
    threshold: Literal["auto"] | Finite = Field(
        default="auto",
        description="A word goes if its suspicion, PPL(text) - PPL(text without the word), is "
        "greater than this; auto takes it from the clean rows.",
    )
    quantile: float = Field(
        default=QUANTILE,
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
        """Enough clean rows for the quantile, if the threshold comes from them.

        A language model is a model of its own.
        """
        return replace(
            declared,
            clean_rows=least_rows(self.quantile) if self.threshold == "auto" else 0,
            external_model=self.language_model is not None,
        )


class OnionFilterConfig(OnionConfig):
    """Settings of `onion-filter`."""

    action: Literal["rewrite", "drop"] = Field(
        default="rewrite",
        description="What becomes of a training row with a suspicious word: rewrite takes the "
        "words out and keeps the row, drop takes the row out.",
    )
