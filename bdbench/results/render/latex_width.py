"""About how wide text is set, so that tables keep to the page."""

from __future__ import annotations

from bdbench.results.render.latex_text import escape

__all__ = ["cut", "points"]

# Computer Modern at 9 pt, the size that \small is in an article of 10 pt; on the wide side.
NARROW = frozenset("fijlrt.,:;!'|()[]- ")
WIDE = frozenset("mwMW%@&")


def points(text: str) -> float:
    """The width in points of text as `escape` prints it."""
    return sum(map(_advance, text))


def _advance(char: str) -> float:
    if not char.isascii() or not char.isprintable():
        code = escape(char)
        return 5.2 * (len(code) - 4) if code.startswith("{[}") else 9.0
    if char in NARROW:
        return 3.7
    if char in WIDE:
        return 9.6
    return 7.2 if char.isupper() or char in "+<>=~_#$\\" else 5.2


def cut(text: str, room: float) -> str:
    """The text if it is no wider than `room` points, else its beginning and an ellipsis."""
    if points(text) <= room:
        return text
    kept = text
    while kept and points(f"{kept}…") > room:
        kept = kept[:-1]
    return f"{kept}…"
