"""What a suite may set for the data sets that come with the host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bdbench.api import ComponentConfig
from bdbench.builtin.sources import require_revision

__all__ = ["FilesConfig", "HubDatasetConfig", "SampleConfig", "SmsSpamConfig", "TableConfig"]

Count = Annotated[int, Field(ge=1)]


class SampleConfig(ComponentConfig):
    """Which rows to train on."""

    train_per_class: dict[str, Count] | None = Field(
        default=None,
        description="Training rows to keep of each class, a fixed sample in which smaller ones"
        " nest; a class that is not named keeps all. None: the natural split.",
    )


class SmsSpamConfig(SampleConfig):
    """The SMS Spam Collection."""

    train_per_class: dict[str, Count] | None = Field(
        default={"ham": 720, "spam": 450},
        description="Training rows to keep of each class, a fixed sample in which smaller ones"
        " nest; a class that is not named keeps all. None: the natural split, 3163 ham and"
        " 450 spam.",
    )


class TableConfig(SampleConfig):
    """Which columns of a table mean what."""

    text: str = Field(default="text", description="Column with the text.")
    text_pair: str | None = Field(
        default=None, description="Column with the second text, for tasks on pairs."
    )
    label: str = Field(
        default="label",
        description="Column with the answer: class names, or numbers that count them from 0 (which"
        " they do unless a class has a number for its name).",
    )
    classes: list[str] | None = Field(
        default=None,
        min_length=2,
        description="Class names, in the order of their numbers; by default the distinct labels"
        " of the training rows, sorted.",
    )
    decode: bool = Field(
        default=False,
        description="Decode escapes that are left in the texts of all splits (&apos; quot; #39;"
        " @-@), as paraphrase attacks do in what they write.",
    )
    duplicates: Literal["error", "drop"] = Field(
        default="error",
        description="What to do about rows with the same inputs in two splits: refuse them, or"
        " drop them from train and clean.",
    )
    clean_share: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of the training rows that is held out as the pool for clean rows;"
        " used only where `clean` names none.",
    )

    @field_validator("classes")
    @classmethod
    def _distinct(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("two classes have the same name")
        return value


class FilesConfig(TableConfig):
    """Files on this machine."""

    train: Path = Field(description="Training rows: .parquet, .csv, .tsv, .json or .jsonl.")
    test: Path = Field(description="Test rows, in any of these formats.")
    clean: Path | None = Field(
        default=None, description="Pool for the defender's clean rows; held out of train if None."
    )


class HubDatasetConfig(TableConfig):
    """A data set of the Hugging Face Hub."""

    name: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$", description="Name on the Hub, for instance nyu-mll/glue."
    )
    revision: str = Field(description="Commit (40 hex digits) or tag; never a branch.")
    subset: str | None = Field(default=None, description="Subset, for instance sst2.")
    train: str = Field(default="train", description="Split with the training rows.")
    test: str = Field(default="test", description="Split with the test rows.")
    clean: str | None = Field(
        default=None,
        description="Split that is the pool for the defender's clean rows; held out of train"
        " if None.",
    )

    @model_validator(mode="before")
    @classmethod
    def _pinned(cls, data: Any) -> Any:
        return require_revision(data, kind="data set")
