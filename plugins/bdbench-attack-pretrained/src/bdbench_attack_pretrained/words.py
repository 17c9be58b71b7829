"""Insertion of a trigger between the words of a text."""

from __future__ import annotations

from random import Random
from typing import Literal

from bdbench.toolkit import words
from bdbench.toolkit.words import word_spans

__all__ = ["insert"]


def insert(
    text: str,
    trigger: str,
    count: int,
    random: Random,
    *,
    position: Literal["random", "start", "end"],
    within_words: int | None = None,
) -> str:
    """The text with a trigger put `count` times between its words (or before or after all).

    Every character of the text stays, in order; each insertion brings one space. With
    ``random`` each insertion draws one number, so that a smaller count makes the first of the
    draws of a larger one.

    Args:
        text: Any text; one without words gets the insertions in front of its whitespace.
        trigger: A word or phrase.
        count: How often it is inserted.
        random: Decides where.
        position: Where insertions may go.
        within_words: They end within so many words of the result; anywhere if None.
    """
    spans = word_spans(text)
    last = len(spans)
    if within_words is not None:
        last = min(last, within_words - count * len(trigger.split()))
    match position:
        case "random":
            gaps = sorted(int(random.random() * (last + 1)) for _ in range(count))
        case "start":
            gaps = [0] * count
        case "end":
            gaps = [last] * count
    return words.insert(text, spans, [(gap, trigger) for gap in gaps])
