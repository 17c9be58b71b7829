"""How often tokens stand in ordinary text."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np
import wordfreq
from tokenizers import Tokenizer
from wordfreq.numbers import digit_freq

from bdbench.api import InputError
from bdbench.toolkit.transformers_folder import quietly

__all__ = ["SOURCE", "expected_counts", "word_frequencies"]

SOURCE = f"wordfreq {version('wordfreq')}"
"""Where the frequencies are from, for the record."""

# In the lists, these stand for all numbers of so many digits, and for words that hold some.
_NUMBERS = re.compile("00")
_LONGEST_NUMBER = 4

# The lists leave punctuation out. These marks are about as frequent as the commonest words;
# other signs are rare in ordinary text, and serve as triggers.
_PUNCTUATION = ".,:;!?'\"()-"

# Words that are encoded at a time: an encoding is a large thing.
_BATCH = 20_000

_Numbers = np.ndarray[Any, np.dtype[np.int32]]


@lru_cache(maxsize=1)
def word_frequencies(language: str) -> Mapping[str, float]:
    """The shares that words, numbers and punctuation marks have among all words of a language.

    Words are those of wordfreq's largest list, which goes down to about one in 100 million.
    It holds one entry for all numbers of two digits, one for those of three and so on; up to
    four digits they are told apart by wordfreq's own model of digits and years. Common
    punctuation marks count as often as the commonest word.

    Raises:
        InputError: wordfreq has no list for the language.
    """
    known = wordfreq.available_languages()
    if language not in known:
        raise InputError(
            "there are no word frequencies for the language",
            where="e-pur: language",
            found=repr(language),
            expected=f"one of {', '.join(sorted(known))}",
            next="choose one of these, or leave `e-pur` out",
        )
    listed = wordfreq.get_frequency_dict(language, wordlist="best")
    shares = {word: share for word, share in listed.items() if not _NUMBERS.search(word)}
    for length in range(2, _LONGEST_NUMBER + 1):
        share = listed.get("0" * length, 0.0)
        for digits in map("".join, itertools.product(string.digits, repeat=length)):
            shares[digits] = share * digit_freq(digits)
    return MappingProxyType(shares | dict.fromkeys(_PUNCTUATION, max(listed.values())))


def expected_counts(
    tokenizer: Tokenizer, shares: Mapping[str, float], corpus_words: float
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How often each token is to be expected in a corpus of so many words.

    Every word is encoded, and each of its tokens counts as often as the word; so the pieces of
    words get their counts too. Where a tokenizer tells capitals from small letters, which the
    shares do not, each word counts in both spellings. Where it tells a word after a space from
    one without (at the beginning of a text, after a bracket), as byte-level ones do, each
    spelling counts in both places. Punctuation marks count after a word as well as after a space.

    Returns:
        The counts by token number, shape [greatest number + 1].
    """
    # The numbers of a vocabulary may have gaps.
    counts = np.zeros(max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1)
    words = tuple(shares)
    forms = [words]
    if _ids(tokenizer, " The") != _ids(tokenizer, " the"):
        forms.append(tuple(word.capitalize() for word in words))
    tells_spaces = _ids(tokenizer, " the") != _ids(tokenizer, "the")
    each = np.fromiter(shares.values(), dtype=np.float64) * corpus_words
    written = tokenizer.to_str()
    for before in (" ", "") if tells_spaces else (" ",):
        for form in forms:
            start = 0
            for numbers, lengths in _encoded(written, form, before):
                stop = start + len(lengths)
                counts += np.bincount(
                    numbers, np.repeat(each[start:stop], lengths), minlength=len(counts)
                )
                start = stop
    if not tells_spaces:
        for mark in filter(shares.__contains__, _PUNCTUATION):
            glued = _after_a_word(tokenizer, mark)
            if glued != _ids(tokenizer, f" {mark}"):
                as_often = shares[mark] * corpus_words * len(forms)  # as after a space
                counts += np.bincount(glued, minlength=len(counts)) * as_often
    return counts


@lru_cache(maxsize=4)
def _encoded(
    tokenizer: str, words: tuple[str, ...], before: str
) -> list[tuple[_Numbers, _Numbers]]:
    """The tokens of each word, batch by batch.

    Kept for the next victim in the same process, in both spellings and places: a list of 300,000
    words takes seconds.

    Args:
        tokenizer: As it stands in ``tokenizer.json``.
        words: What is encoded.
        before: What each stands after: a space or nothing.

    Returns:
        For each batch all token numbers in a row, and how many of them each word has.
    """
    encoder = Tokenizer.from_str(tokenizer)
    found = []
    for start in range(0, len(words), _BATCH):
        batch = [f"{before}{word}" for word in words[start : start + _BATCH]]
        with quietly():
            encoded = encoder.encode_batch_fast(batch, add_special_tokens=False)
        rows = [one.ids for one in encoded]
        numbers = np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int32)
        found.append((numbers, np.fromiter(map(len, rows), dtype=np.int32)))
    return found


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _after_a_word(tokenizer: Tokenizer, mark: str) -> list[int]:
    """The tokens of a punctuation mark as it is usually written.

    Sentencepiece begins a text with the token of a space, so that a mark by itself is no help.
    """
    word, both = _ids(tokenizer, "the"), _ids(tokenizer, f"the{mark}")
    return both[len(word) :] if both[: len(word)] == word else _ids(tokenizer, mark)
