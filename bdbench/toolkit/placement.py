"""Triggers that are put into the text of a row: what a suite may set, and the attack's base.

Imports nothing heavy, so that a plugin's ``config.py`` may use it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from random import Random
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bdbench.api import Attack, ComponentConfig, Examples, InputError, SeedStream, Task

__all__ = ["Phrase", "PlacedTrigger", "PlacementConfig", "Word"]


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
"""A trigger of one word."""

Phrase = Annotated[str, AfterValidator(_not_blank)]
"""A trigger of one word or more."""


class PlacementConfig(ComponentConfig):
    """Where triggers go."""

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

    def last_gap(self, words: int, added: int) -> int:
        """The last gap at which a trigger still ends within the first `within_words` words.

        Args:
            words: Words of the text.
            added: Words of the trigger.
        """
        limit = self.within_words
        return words if limit is None else min(words, limit - added)


class PlacedTrigger(Attack):
    """An attack whose trigger goes into one text column."""

    config: PlacementConfig

    def changed(
        self,
        examples: Examples,
        task: Task,
        seeds: SeedStream,
        change: Callable[[str, Random], str],
    ) -> Examples:
        """The same rows with `change` applied to the chosen column of each.

        Args:
            examples: The rows.
            task: Names the columns.
            seeds: A row's randomness comes from the child of its id.
            change: Gets the text and the row's randomness.

        Raises:
            InputError: The task has no such column, or the column holds something else than
                text.
        """
        field = task.input_field(self.config.field)
        texts = []
        for row_id, text in zip(examples.ids, examples.inputs[field], strict=True):
            if not isinstance(text, str):
                raise InputError(
                    "a trigger can only be inserted into text",
                    where=f"column {field!r}, row {row_id}",
                    found=f"a value of type {type(text).__name__}",
                    expected="text",
                    next="clean the column, or choose another one with `field`",
                )
            texts.append(change(text, seeds.child(row_id).random()))
        return examples.with_input(field, texts)
