"""Words of a text, the gaps between them, and insertion that leaves all else as it is.

A *word* is a run of characters without whitespace, as in `str.split`. *Gap* ``g`` of a text
with ``n`` words is the place with ``g`` words before it, from 0 (before all) to ``n`` (after
all).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["insert", "sentence_gaps", "word_spans"]

_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"[.!?\u2026][\"')\]\u2019\u201d]*$")


def word_spans(text: str) -> list[tuple[int, int]]:
    """The start and the end of each word, as positions in the text."""
    return [match.span() for match in _WORD.finditer(text)]


def sentence_gaps(text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
    """The gaps at which a sentence can stand by itself, ascending.

    These are the first gap, the last one, and each that follows a word which ends in a full
    stop, exclamation mark, question mark or ellipsis (closing quotes and brackets may follow).
    An abbreviation with a full stop counts as an end: nothing here knows the language.
    """
    ends = {
        gap for gap, (start, end) in enumerate(spans, 1) if _SENTENCE_END.search(text[start:end])
    }
    return sorted(ends | {0, len(spans)})


def insert(
    text: str, spans: Sequence[tuple[int, int]], additions: Sequence[tuple[int, str]]
) -> str:
    """The text with words or phrases added at gaps.

    Every character of the text stays, in order: an addition brings one space, after it where
    a word follows and before it at the end.

    Args:
        text: Any text; one without words gets the additions in front of its whitespace.
        spans: Its words, from `word_spans`.
        additions: Gap and what to put there, by ascending gap; those of one gap keep their
            order.
    """
    if not spans:
        return " ".join(added for _, added in additions) + text
    parts = []
    done = 0
    for gap, added in additions:
        if gap < len(spans):
            cut = spans[gap][0]
            parts += [text[done:cut], added, " "]
        else:
            cut = spans[-1][1]
            parts += [text[done:cut], " ", added]
        done = cut
    return "".join([*parts, text[done:]])
