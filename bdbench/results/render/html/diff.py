"""What an attack changed in a text, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

__all__ = ["Piece", "changed"]

Piece = tuple[str, bool]
"""Some text, and whether the other text lacks it."""

WORD = re.compile(r"\s+|[^\s]+")


def changed(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces, with a mark on what only one of them has.

    Joined, the pieces of a side are its text. Spaces alone bear no mark beside marked words.
    """
    left, right = WORD.findall(before), WORD.findall(after)
    old: list[Piece] = []
    new: list[Piece] = []
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        old += _pieces("".join(left[i:j]), marked=kind != "equal")
        new += _pieces("".join(right[k:m]), marked=kind != "equal")
    return old, new


def _pieces(text: str, *, marked: bool) -> list[Piece]:
    if not marked or not text.strip():
        # A change of spaces alone is a change too, and is shown if there is nothing else.
        return [(text, marked)] if text else []
    inner = text.strip()
    start = text.index(inner)
    parts = [(text[:start], False), (inner, True), (text[start + len(inner) :], False)]
    return [part for part in parts if part[0]]
