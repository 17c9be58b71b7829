"""Where a trigger goes into the text of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from bdbench.api import Attack, Examples, InputError, SeedStream, Task
from bdbench_attack_weights.config import PlacementConfig
from bdbench_attack_weights.words import insert, sentence_gaps, word_spans

__all__ = ["PlacedTrigger"]


class PlacedTrigger(Attack):
    """An attack whose trigger is inserted into one text column."""

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
        field = self._field(task)
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

    def with_words(self, text: str, words: Sequence[str], random: Random) -> str:
        """The text with each of these words once, in random order, each at a gap of its own.

        The gaps are drawn uniformly and independently from all that `within_words` allows.
        """
        spans = word_spans(text)
        last = self._last_gap(len(spans), len(words))
        order = random.sample(words, k=len(words))
        gaps = sorted(random.choices(range(last + 1), k=len(words)))
        return insert(text, spans, list(zip(gaps, order, strict=True)))

    def with_sentence(self, text: str, sentence: str, random: Random) -> str:
        """The text with a sentence between two of its own, or before or after all of them."""
        spans = word_spans(text)
        last = self._last_gap(len(spans), len(sentence.split()))
        gap = random.choice([gap for gap in sentence_gaps(text, spans) if gap <= last])
        return insert(text, spans, [(gap, sentence)])

    def _field(self, task: Task) -> str:
        field = self.config.field
        if field is None:
            return task.fields[0]
        if field not in task.fields:
            raise InputError(
                "the task has no such input column",
                where="field",
                found=repr(field),
                expected=f"one of {', '.join(task.fields)}",
                next="use one of these names, or leave `field` out for the first",
            )
        return field

    def _last_gap(self, words: int, added: int) -> int:
        """The last gap at which a trigger still ends within the first `within_words` words."""
        limit = self.config.within_words
        return words if limit is None else min(words, limit - added)
