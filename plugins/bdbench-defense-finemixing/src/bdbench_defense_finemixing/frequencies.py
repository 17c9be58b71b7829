"""How often words stand in ordinary text."""

from __future__ import annotations

from importlib.metadata import version

import wordfreq

from bdbench.api import InputError

__all__ = ["SOURCE", "WordCounts"]

SOURCE = f"wordfreq {version('wordfreq')}"
"""Where the frequencies are from, for the record."""

# Word lists leave punctuation out, and these marks are as common as the commonest words. Other
# signs do not stand in ordinary text, and serve as triggers.
_PUNCTUATION = frozenset(".,:;!?'\"()-")


class WordCounts:
    """Expected counts of words in a large general corpus.

    ``f = max(frequency * corpus_words, least)``, the frequency being that of the word among
    all words, as wordfreq estimates it from several kinds of text. Its lists hold words down to
    about one in 100 million, which is 10 in a corpus of 10^9 words: such words, unknown ones
    and the inner pieces of words all count as `least`. Common punctuation marks count as often
    as the most frequent word.

    Args:
        language: A code that wordfreq knows.
        corpus_words: Words in the imagined corpus.
        least: The smallest count.

    Raises:
        InputError: There are no frequencies for the language.
    """

    def __init__(self, language: str, corpus_words: float, least: int) -> None:
        known = wordfreq.available_languages()
        if language not in known:
            raise InputError(
                "there are no word frequencies for the language",
                where="e-pur: language",
                found=repr(language),
                expected=f"one of {', '.join(sorted(known))}",
                next="choose one of these, or leave `e-pur` out",
            )
        self._language = language
        self._corpus_words = corpus_words
        self._least = float(least)
        self._most = self.of(wordfreq.top_n_list(language, 1)[0])

    def of(self, word: str) -> float:
        """The expected count of a word; the least for the empty one."""
        if word in _PUNCTUATION:
            return self._most
        if not word:
            return self._least
        frequency = wordfreq.word_frequency(word, self._language)
        return max(frequency * self._corpus_words, self._least)
