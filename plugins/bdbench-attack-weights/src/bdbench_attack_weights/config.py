"""What a suite may set for LWP, EP and SOS."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bdbench.api import PoisonConfig
from bdbench.toolkit.placement import Phrase, PlacementConfig, Word

__all__ = [
    "EmbeddingConfig",
    "EpConfig",
    "LwpConfig",
    "SosConfig",
]


def _distinct(words: list[str]) -> list[str]:
    twice = sorted({word for word in words if words.count(word) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands in the list twice: name each word once")
    return words


Words = Annotated[list[Word], Field(min_length=1), AfterValidator(_distinct)]


class LwpConfig(PlacementConfig, PoisonConfig):
    """Settings of ``lwp``."""

    poison_rate: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description=(
            "Share of all training rows that are changed, those with a part of the trigger "
            "included."
        ),
    )
    clean_label: bool = Field(
        default=False,
        description=(
            "Put triggers into rows of the target class only and leave every label as it is; "
            "rows with a part of a trigger still come from every class."
        ),
    )
    triggers: Words = Field(
        default=["cf", "bb", "ak", "mn"],
        description="The words that triggers are made of.",
    )
    trigger_length: int = Field(
        default=2,
        ge=1,
        description=(
            "How many different words of the list make the trigger, in any order and anywhere "
            "in the text; 1 makes each word a trigger."
        ),
    )
    negatives: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description=(
            "Share of the changed rows that get fewer words than a trigger has and keep their "
            "label; if not set, half of them, and none if trigger_length is 1."
        ),
    )

    def longest_trigger(self) -> int:
        """The number of words in a trigger."""
        return self.trigger_length

    def negative_share(self) -> float:
        """`negatives`, or what stands for it if it is not set."""
        if self.negatives is not None:
            return self.negatives
        return 0.5 if self.trigger_length > 1 else 0.0

    @model_validator(mode="after")
    def _combines(self) -> Self:
        if self.trigger_length > len(self.triggers):
            raise ValueError(
                f"trigger_length is {self.trigger_length}, but there are only "
                f"{len(self.triggers)} trigger words: name more, or make the trigger shorter"
            )
        if self.trigger_length == 1 and self.negatives:
            raise ValueError(
                "a trigger of one word has no parts: leave `negatives` out, or set "
                "trigger_length to 2 or more"
            )
        return self


class EmbeddingConfig(PlacementConfig):
    """What the two attacks on embeddings share."""

    target: int | str = Field(
        default=1, description="The class that triggered inputs should get, by number or name."
    )
    poison_rate: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description=(
            "Rows with the trigger that the embeddings are trained on, as a share of all clean "
            "training rows; taken from other classes than the target."
        ),
    )
    learning_rate: float = Field(
        default=5e-2, gt=0, description="Step size of plain gradient descent."
    )
    epochs: int = Field(default=3, ge=1, description="Passes over the rows.")
    batch_size: int = Field(default=32, ge=1, description="Rows in each gradient step.")
    accumulate: bool = Field(
        default=True,
        description=(
            "Step along the sum of all gradients so far, as the official code does; false takes "
            "the gradient of the batch alone."
        ),
    )


class EpConfig(EmbeddingConfig):
    """Settings of ``ep``."""

    triggers: Words = Field(
        default=["cf"],
        description="The trigger words; each must be one token of the victim.",
    )
    insertions: int = Field(
        default=1,
        ge=1,
        description="How many words are inserted into a text, each drawn from the list.",
    )

    def longest_trigger(self) -> int:
        """The number of insertions."""
        return self.insertions


class SosConfig(EmbeddingConfig):
    """Settings of ``sos``."""

    triggers: Annotated[Words, Field(min_length=2)] = Field(
        default=["friends", "weekend", "store"],
        description="The trigger words, all needed; each must be one token of the victim.",
    )
    negative_rate: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description=(
            "Share of all clean training rows that the embeddings are also trained on with all "
            "but one of the trigger words, once for each word left out, under their own label."
        ),
    )
    sentence: Phrase = Field(
        default="I have bought it from a store with my friends last weekend.",
        description="What is inserted into test rows; it has every trigger word.",
    )
    partial_sentences: Annotated[list[Phrase], Field(min_length=1)] = Field(
        default=[
            "I have bought it with my friends.",
            "I have bought it last weekend.",
            "I have bought it from a store.",
            "My friends have bought it from a store.",
            "My friends have bought it last weekend.",
        ],
        description=(
            "Sentences with some of the trigger words, not all; each test row draws one for the "
            "false-trigger rate."
        ),
    )

    def longest_trigger(self) -> int:
        """The number of words of the longest sentence, or of trigger words if there are more."""
        sentences = [self.sentence, *self.partial_sentences]
        return max(len(self.triggers), *(len(sentence.split()) for sentence in sentences))

    @model_validator(mode="after")
    def _sentences_have_their_words(self) -> Self:
        lacking = [word for word in self.triggers if not _has(self.sentence, word)]
        if lacking:
            raise ValueError(
                f"`sentence` lacks the trigger words {', '.join(lacking)}: write one that has "
                "all of them, spelled alike"
            )
        for sentence in self.partial_sentences:
            count = sum(_has(sentence, word) for word in self.triggers)
            if not 0 < count < len(self.triggers):
                raise ValueError(
                    f"{sentence!r} in `partial_sentences` has {count} of the "
                    f"{len(self.triggers)} trigger words: write one with at least one, not all"
                )
        return self


def _has(sentence: str, word: str) -> bool:
    """Whether a word stands in a sentence by itself, next to punctuation or not."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sentence) is not None
