"""What a suite may set for the two attacks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bdbench.api import PoisonConfig

__all__ = ["BadNetsConfig", "InsertSentConfig", "InsertionConfig"]


def _not_blank(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise ValueError("a trigger must not be blank: the text would stay as it was")
    return stripped


def _one_word(text: str) -> str:
    word = _not_blank(text)
    if len(word.split()) > 1:
        raise ValueError(
            f"{word!r} is more than one word: list its words one by one, or use the attack "
            "insertsent for a phrase"
        )
    return word


Word = Annotated[str, AfterValidator(_one_word)]
Phrase = Annotated[str, AfterValidator(_not_blank)]
Count = Annotated[int, Field(ge=1)]


class InsertionConfig(PoisonConfig):
    """What both attacks let a suite set."""

    field: str | None = Field(
        default=None,
        description="The input column that gets the trigger; the task's first if not set.",
    )
    within_words: int | None = Field(
        default=None,
        ge=1,
        description=(
            "The whole trigger ends within this many words of the triggered text, so that a "
            "victim which cuts long texts still sees it; anywhere if not set."
        ),
    )

    @abstractmethod
    def longest_trigger(self) -> int:
        """The most words that the trigger adds to one text."""

    @model_validator(mode="after")
    def _trigger_fits(self) -> Self:
        longest = self.longest_trigger()
        if self.within_words is not None and self.within_words < longest:
            raise ValueError(
                f"within_words is {self.within_words}, but the trigger can be {longest} words "
                f"long: set within_words to at least {longest}, or make the trigger shorter"
            )
        return self


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
