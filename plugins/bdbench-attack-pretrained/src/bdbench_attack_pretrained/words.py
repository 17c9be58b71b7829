"""Insertion of a trigger between the words of a text."""

from __future__ import annotations

import re
from random import Random
from typing import Literal

__all__ = ["insert"]

_WORD = re.compile(r"\S+")


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
    spans = [match.span() for match in _WORD.finditer(text)]
    if not spans:
        return " ".join([trigger] * count) + text
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
    parts = []
    done = 0
    for gap in gaps:
        if gap < len(spans):
            cut = spans[gap][0]
            parts += [text[done:cut], trigger, " "]
        else:
            cut = spans[-1][1]
            parts += [text[done:cut], " ", trigger]
        done = cut
    return "".join([*parts, text[done:]])
