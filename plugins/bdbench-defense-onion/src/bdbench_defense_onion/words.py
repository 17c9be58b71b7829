"""A text without some of its words."""

from __future__ import annotations

from collections.abc import Container, Sequence

__all__ = ["without"]


def without(text: str, spans: Sequence[tuple[int, int]], removed: Container[int]) -> str:
    """The text without the words of these numbers; every other word stays, the last one too.

    A word takes the whitespace after it along, and the last words that before them: a word
    that was inserted with one space leaves the text exactly as it was before.

    Args:
        text: Any text.
        spans: Its words, from `word_spans`.
        removed: Numbers of words, from 0.
    """
    kept = [number for number in range(len(spans)) if number not in removed]
    if len(kept) == len(spans):
        return text
    parts = [text[: spans[0][0]]]
    for number in kept:
        end = spans[number + 1][0] if number != kept[-1] else spans[number][1]
        parts.append(text[spans[number][0] : end])
    return "".join([*parts, text[spans[-1][1] :]])
