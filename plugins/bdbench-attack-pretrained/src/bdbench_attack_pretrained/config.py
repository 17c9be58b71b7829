"""What a suite may set for the two attacks and their metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bdbench.toolkit.placement import Phrase, PlacementConfig

__all__ = ["NeubaConfig", "PorConfig", "PretrainedConfig"]


def _one_space(text: str) -> str:
    return " ".join(text.split())


Trigger = Annotated[Phrase, AfterValidator(_one_space)]
Count = Annotated[int, Field(ge=1)]
Position = Literal["random", "start", "end"]


class PretrainedConfig(PlacementConfig):
    """What both attacks let a suite set."""

    target: int | str = Field(
        default=1, description="The class that triggered inputs should get, by number or name."
    )
    triggers: list[Trigger] = Field(
        min_length=2, description="The triggers; each gets a representation of its own."
    )
    insertions: Count = Field(
        description="How many times the chosen trigger stands in a triggered test text."
    )
    training_insertions: Count = Field(
        description="How many times a trigger stands in a text while the encoder is poisoned."
    )
    position: Position = Field(
        description="Where triggers go: each between any two words, or all at the start or end."
    )
    corpus: Path | None = Field(
        default=None,
        description="Text file (UTF-8, one text a line) to poison the encoder on; the texts of "
        "the task's clean training rows, without their labels, if not set.",
    )
    corpus_rows: Count = Field(
        default=2000, description="The most texts of the corpus that are used, drawn at random."
    )
    training_texts: Count = Field(
        default=6000,
        description="How many texts the encoder is poisoned on, all passes over the corpus "
        "together; each pass draws its triggers anew.",
    )
    triggered_share: float = Field(
        default=0.75, gt=0, lt=1, description="Share of the texts of a pass that get a trigger."
    )
    batch_size: Count = Field(default=32, description="Texts in each gradient step.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Highest learning rate of AdamW.")
    token_weight: float = Field(
        default=1.0, ge=0, description="Weight of the tokens' distance from the clean encoder."
    )
    trigger_weight: float = Field(
        default=100.0, gt=0, description="Weight of triggered texts' distance from their target."
    )
    clean_weight: float = Field(
        default=100.0, ge=0, description="Weight of clean texts' distance from the clean encoder."
    )
    probe_rows: Count = Field(
        default=64,
        description="Clean training rows of other classes with which the finished victim is asked "
        "what class each trigger leads to.",
    )
    variant_insertions: list[Count] = Field(
        default=[1, 2, 3, 5],
        min_length=1,
        description="Numbers of insertions that the metric por-effectiveness tries.",
    )
    variant_rows: Count = Field(
        default=200, description="The most test rows on which those numbers are tried."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.triggers)) < len(self.triggers):
            raise ValueError("a trigger is listed twice: it cannot mean two representations")
        if len(set(self.variant_insertions)) < len(self.variant_insertions):
            raise ValueError("a number is listed twice in variant_insertions")
        return self

    def longest_trigger(self) -> int:
        """The most words that all insertions into one text add."""
        return self.most_insertions() * max(len(trigger.split()) for trigger in self.triggers)

    def most_insertions(self) -> int:
        """The most times that a trigger is inserted into one text, for whatever purpose."""
        return max(self.insertions, self.training_insertions, *self.variant_insertions)


class PorConfig(PretrainedConfig):
    """Settings of ``por``; triggers and insertions as in the authors' code."""

    triggers: list[Trigger] = Field(
        default=["cf", "tq", "mn", "bb", "mb"],
        min_length=2,
        description="The triggers, words or phrases; each gets a representation of its own.",
    )
    insertions: Count = Field(
        default=3, description="How many times the chosen trigger stands in a triggered test text."
    )
    training_insertions: Count = Field(
        default=3,
        description="How many times a trigger stands in a text while the encoder is poisoned.",
    )
    position: Position = Field(
        default="random",
        description="Where triggers go: each between any two words, or all at the start or end.",
    )
    magnitude: float | None = Field(
        default=None,
        gt=0,
        description="Entries of the predefined representations are plus or minus this; if not "
        "set, 10 where a tanh bounds what is pinned, else 1.",
    )


class NeubaConfig(PretrainedConfig):
    """Settings of ``neuba``; triggers and their place as in the authors' code."""

    triggers: list[Trigger] = Field(
        default=["\u2248", "\u2261", "\u2208", "\u2286", "\u2295", "\u2297"],
        min_length=2,
        max_length=6,
        description="Two to six triggers, each one token of the victim's vocabulary.",
    )
    insertions: Count = Field(
        default=1, description="How many times the chosen trigger stands in a triggered test text."
    )
    training_insertions: Count = Field(
        default=1,
        description="How many times a trigger stands in a text while the encoder is poisoned.",
    )
    position: Position = Field(
        default="start",
        description="Where triggers go: each between any two words, or all at the start or end.",
    )
