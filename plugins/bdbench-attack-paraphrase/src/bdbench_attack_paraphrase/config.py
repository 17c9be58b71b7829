"""What a suite may set for the two attacks."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from bdbench.api import PoisonConfig

__all__ = ["ParaphraseConfig"]

_FOR_MODEL = ("prefix", "top_p", "max_tokens", "generation_seed")


class ParaphraseConfig(PoisonConfig):
    """Where the paraphrases come from: two files, or a model. One of them must be named."""

    train: Path | None = Field(
        default=None,
        description="Parquet file with paraphrases of training texts: columns text, label (of the "
        "sentence itself, not the target) and row (its number in the source split, from 0).",
    )
    test: Path | None = Field(
        default=None, description="Such a file with paraphrases of test texts."
    )
    model: Path | None = Field(
        default=None,
        description="In place of the files: folder of a seq2seq model of transformers with its "
        "tokenizer (safetensors), which is given each text.",
    )
    normalise: bool = Field(
        default=True,
        description="Decode what generators leave undecoded in paraphrases (&apos; andapos; "
        "@-@ EOS), since it would be the trigger. `decode: true` at the data set decodes its own "
        "texts by the same function.",
    )
    field: str | None = Field(
        default=None,
        description="The input column that is paraphrased; the task's first if not set.",
    )
    prefix: str = Field(
        default="", description="model: what is written before each text, such as an instruction."
    )
    top_p: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="model: each token is drawn from the likeliest ones that together have this "
        "probability.",
    )
    max_tokens: int = Field(
        default=128,
        ge=1,
        description="model: texts are cut to this many tokens, and paraphrases end there.",
    )
    generation_seed: int = Field(
        default=0,
        description="model: decides what is drawn; the suite's seeds do not, as with files.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.model is None:
            lacking = [name for name in ("train", "test") if getattr(self, name) is None]
            if lacking:
                raise ValueError(f"set {' and '.join(lacking)}, or `model` in place of the files")
            # Not by whether they were set: a resolved suite sets every default.
            fields = type(self).model_fields
            idle = [name for name in _FOR_MODEL if getattr(self, name) != fields[name].default]
            if idle:
                raise ValueError(f"{idle[0]!r} means nothing without `model`")
        elif self.train is not None or self.test is not None:
            raise ValueError("set either train and test, or model")
        return self
