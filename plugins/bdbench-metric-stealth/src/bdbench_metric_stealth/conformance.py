"""What `bdbench check` tries the metric with: triggers whose traces can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bdbench.api import AttackEvidence, Examples, Task

if TYPE_CHECKING:
    from bdbench.testing import KnownValues

__all__ = ["KNOWN_VALUES"]

# Shares of English words as wordfreq 3 has them.
_THE, _CF = 0.0537, 7.08e-6


def _evidence(before: Sequence[str], after: Sequence[str]) -> AttackEvidence:
    def table(texts: Sequence[str]) -> Examples:
        return Examples({"text": list(texts)}, [0] * len(texts), list(range(len(texts))))

    task = Task("text-classification", ("text",), ("a", "b"))
    return AttackEvidence(task, 1, table(before), table(after))


def _cases() -> list[KnownValues]:
    from bdbench.testing import KnownValues  # noqa: PLC0415 -- only the checks need it

    return [
        KnownValues(
            "a word in one of two texts",
            _evidence(["the", "a film"], ["the cf", "a film"]),
            {
                # One of two words is new in the first text; the second is as it was.
                "changed_words": (1 / 2 + 0) / 2,
                # Perplexities are one over the geometric mean of the words' shares: about
                # 1 / 0.000616600 = 1621.80 with the trigger and 1 / 0.0537 = 18.62 without,
                # so 1603.18, and 0 for the second text.
                "perplexity_change": (1 / math.sqrt(_THE * _CF) - 1 / _THE + 0) / 2,
            },
        ),
        KnownValues(
            "capitals",
            _evidence(["the film", "a good plot"], ["THE FILM", "A GOOD plot"]),
            {
                # Both of two words, and two of three.
                "changed_words": (2 / 2 + 2 / 3) / 2,
                # Neither the word list nor MiniLM's tokenizer tells capitals from small letters.
                "perplexity_change": 0.0,
                "embedding_similarity": 1.0,
            },
        ),
        KnownValues(
            "a trigger that changes nothing",
            _evidence(["the film", "a plot"], ["the film", "a plot"]),
            {"changed_words": 0.0, "perplexity_change": 0.0, "embedding_similarity": 1.0},
        ),
    ]


KNOWN_VALUES = {"stealth": _cases}
