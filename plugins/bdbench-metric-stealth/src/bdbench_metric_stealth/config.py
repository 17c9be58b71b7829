"""The settings of `stealth`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bdbench.api import ComponentConfig
from bdbench_metric_stealth.minilm import FILES, MINILM, VARIABLE, package_folder

__all__ = ["StealthConfig"]

_HUB_NAME = re.compile(r"hf:[\w.-]+/[\w.-]+@[0-9a-f]{40}")

_WORDS = {"unigram", "minilm", "none"}

HubName = Annotated[str, Field(pattern="^hf:")]


class StealthConfig(ComponentConfig):
    """Which models judge the texts, and how many texts they judge."""

    language_model: Literal["unigram"] | HubName | Path = Field(
        default="unigram",
        union_mode="left_to_right",
        description="What perplexities are taken under: unigram, which is English word "
        "frequencies and knows nothing of context, the folder of a causal language model of "
        "transformers with its tokenizer (safetensors), or hf:owner/name@<commit>.",
    )
    encoder: Literal["minilm", "none"] | HubName | Path = Field(
        default="minilm",
        union_mode="left_to_right",
        description="What embeds texts, by the mean of its token vectors: minilm, which is "
        "all-MiniLM-L6-v2, the folder of an encoder of transformers with its tokenizer "
        "(safetensors), hf:owner/name@<commit>, or none to leave the similarity out.",
    )
    minilm: Path | None = Field(
        default=None,
        description="encoder minilm: the folder with its files; by default the one that "
        f"{VARIABLE} names, else the installed package's, else the Hub's.",
    )
    max_rows: int = Field(
        default=500,
        ge=1,
        description="Test rows that are measured; if there are more, so many of them, evenly "
        "spread in the order of their ids.",
    )
    max_tokens: int = Field(
        default=512,
        ge=8,
        description="Tokens of a text that language model and encoder read, fewer if they "
        "cannot take so many; the rest of the text is cut.",
    )

    @field_validator("language_model", "encoder", mode="before")
    @classmethod
    def _pinned(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("hf:") and not _HUB_NAME.fullmatch(value):
            raise ValueError(
                "a model on the Hugging Face Hub is written hf:owner/name@<commit>, with the 40 "
                "hexadecimal digits of a commit, since what a branch holds can change"
            )
        # Once read, ./minilm is written minilm, which would mean something else.
        if (
            str(value) not in _WORDS
            and isinstance(value, str | Path)
            and str(Path(value)) in _WORDS
        ):
            raise ValueError("name a folder of this name by its absolute path")
        return value

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any, info: ValidationInfo) -> Any:
        # A setting, so that the host shows the folder to the metric, which sees no other.
        if isinstance(given, dict) and given.get("encoder", "minilm") == "minilm":
            named = os.environ.get(VARIABLE)
            # Strictly, a path is text in JSON and a Path elsewhere.
            found = {"minilm": named if info.mode == "json" else Path(named)} if named else {}
            return {**found, **given}
        return given

    @model_validator(mode="after")
    def _used(self) -> StealthConfig:
        default = type(self).model_fields["max_tokens"].default
        idle = self.language_model == "unigram" and self.encoder == "none"
        if idle and self.max_tokens != default:
            raise ValueError("'max_tokens' means nothing without a language model or an encoder")
        if self.minilm is not None and self.encoder != "minilm":
            raise ValueError("'minilm' means something only where encoder is minilm")
        return self

    def paths(self) -> dict[str, Path]:
        """The folders that it names, and the files of `minilm`: they may be links to elsewhere."""
        folder = self.minilm
        files = [folder / name for name in FILES] if folder else []
        return super().paths() | {f"minilm.{path.name}": path for path in files if path.is_file()}

    def hub_models(self) -> dict[str, str]:
        """The models of the Hub that it names, and MiniLM if it is not on this machine."""
        there = self.minilm is not None or package_folder() is not None
        fetched = self.encoder == "minilm" and not there
        return super().hub_models() | ({"encoder": MINILM} if fetched else {})
