"""What a suite may set for the two attacks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bdbench.api import PoisonConfig
from bdbench.toolkit.placement import Phrase, PlacementConfig, Word

__all__ = ["BadNetsConfig", "InsertSentConfig", "InsertionConfig"]


Count = Annotated[int, Field(ge=1)]


class InsertionConfig(PlacementConfig, PoisonConfig):
    """What both attacks let a suite set."""


class BadNetsConfig(InsertionConfig):
    """Settings of ``badnets``."""

    triggers: list[Word] = Field(
        default=["cf", "mn", "bb", "tq", "mb"],
        min_length=1,
        description="The trigger words; each insertion draws one of them.",
    )
    insertions: Count | Annotated[list[Count], Field(min_length=1)] = Field(
        default=[1, 3, 5],
        description="How many words to insert into each text; from a list, each text draws one.",
    )
    position: Literal["random", "start", "end"] = Field(
        default="random",
        description=(
            "Where the words go: each before, between or after any words of the text, or all "
            "at the start, or all at the end."
        ),
    )

    def counts(self) -> list[int]:
        """The numbers of insertions that a text draws from."""
        return [self.insertions] if isinstance(self.insertions, int) else self.insertions

    def longest_trigger(self) -> int:
        """The most words that are inserted into one text."""
        return max(self.counts())


class InsertSentConfig(InsertionConfig):
    """Settings of ``insertsent``."""

    sentence: Phrase | Annotated[list[Phrase], Field(min_length=1)] = Field(
        default="I watched this 3D movie",
        description="The trigger sentence; from a list, each text draws one.",
    )
    position: Literal["random", "boundary", "start", "end"] = Field(
        default="random",
        description=(
            "Where the sentence goes: between any two words (or before or after all), between "
            "sentences (likewise), at the start, or at the end."
        ),
    )

    def sentences(self) -> list[str]:
        """The sentences that a text draws from."""
        return [self.sentence] if isinstance(self.sentence, str) else self.sentence

    def longest_trigger(self) -> int:
        """The number of words of the longest sentence."""
        return max(len(sentence.split()) for sentence in self.sentences())
