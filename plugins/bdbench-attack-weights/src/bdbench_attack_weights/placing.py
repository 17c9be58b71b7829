"""Where the words of a trigger go."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from bdbench.toolkit.placement import PlacedTrigger
from bdbench.toolkit.words import insert, sentence_gaps, word_spans

__all__ = ["PlacedWords"]


class PlacedWords(PlacedTrigger):
    """An attack whose trigger is words at places of their own, or a sentence among others."""

    def with_words(self, text: str, words: Sequence[str], random: Random) -> str:
        """The text with each of these words once, in random order, each at a gap of its own.

        The gaps are drawn uniformly and independently from all that `within_words` allows.
        """
        spans = word_spans(text)
        last = self.config.last_gap(len(spans), len(words))
        order = random.sample(words, k=len(words))
        gaps = sorted(random.choices(range(last + 1), k=len(words)))
        return insert(text, spans, list(zip(gaps, order, strict=True)))

    def with_sentence(self, text: str, sentence: str, random: Random) -> str:
        """The text with a sentence between two of its own, or before or after all of them."""
        spans = word_spans(text)
        last = self.config.last_gap(len(spans), len(sentence.split()))
        gap = random.choice([gap for gap in sentence_gaps(text, spans) if gap <= last])
        return insert(text, spans, [(gap, sentence)])
