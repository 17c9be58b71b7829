"""Perplexity by word frequencies alone (package wordfreq)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from wordfreq import get_frequency_dict, word_frequency
from wordfreq.tokens import tokenize

__all__ = ["unigram_perplexities"]

_LANGUAGE = "en"


def unigram_perplexities(texts: Iterable[str]) -> dict[str, float]:
    """``exp(-(log f(w_1) + ... + log f(w_n)) / n)`` of each text, f the frequency in English.

    Words w are what wordfreq takes for such, in lower case and without punctuation; one that
    it does not know counts as the rarest that it knows. A text without any is left out.
    """
    floor = min(get_frequency_dict(_LANGUAGE).values())
    found = {}
    for text in texts:
        logs = [
            math.log(max(word_frequency(word, _LANGUAGE), floor))
            for word in tokenize(text, _LANGUAGE)
        ]
        if logs:
            found[text] = math.exp(-math.fsum(logs) / len(logs))
    return found
