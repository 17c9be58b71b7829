"""A unigram language model over general English word frequencies (package wordfreq)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from wordfreq import get_frequency_dict, word_frequency
from wordfreq.tokens import tokenize

from bdbench_defense_onion.scoring import Verdict

__all__ = ["UnigramModel"]

_LANGUAGE = "en"


class UnigramModel:
    """Knows how often each word is used, and nothing of its neighbours.

    Over the units u_1 ... u_n of a text, ``PPL = exp(-(log f(u_1) + ... + log f(u_n)) / n)``
    with f the relative frequency. Units are what wordfreq makes of each word: in lower case,
    without punctuation, parts of a compound apart. A unit that wordfreq does not know counts
    as the rarest one that it knows. A word without units, such as a lone comma, has no
    score, nor has one whose removal leaves no unit.
    """

    def __init__(self) -> None:
        self._floor = min(get_frequency_dict(_LANGUAGE).values())
        self.facts: Mapping[str, Any] = {
            "language_model": "unigram",
            "word_frequencies": f"wordfreq {metadata.version('wordfreq')}, English",
            "frequency_floor": self._floor,
        }

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """The suspicion of each word of each text."""
        return [Verdict(self._scores(text)) for text in texts]

    def _scores(self, text: str) -> tuple[float | None, ...]:
        costs = [self._costs(word) for word in text.split()]
        total = math.fsum(cost for word in costs for cost in word)
        units = sum(map(len, costs))

        def score(word: Sequence[float]) -> float | None:
            left = units - len(word)
            if not word or not left:
                return None
            return math.exp(total / units) - math.exp((total - math.fsum(word)) / left)

        return tuple(score(word) for word in costs)

    def _costs(self, word: str) -> list[float]:
        """The negative log frequency of each unit of a word."""
        return [
            -math.log(max(word_frequency(unit, _LANGUAGE), self._floor))
            for unit in tokenize(word, _LANGUAGE)
        ]
