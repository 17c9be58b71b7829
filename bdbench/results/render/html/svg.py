"""Elements of charts, escaped where they are made."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from bdbench.results.render.html.texts import output

__all__ = ["WIDTH", "arrow", "chart", "element", "label", "shortened", "width_of"]

WIDTH = 360.0
"""Units of every chart: about the pixels of a phone, so that its text is read there unscaled."""
LEAST = 3.9
"""Units of the narrowest letters, those that follow."""
NARROW = frozenset("fijlrt.,:;!'|()[]{} /\\-I`")
WIDE = frozenset("mw%@#&~^<>+=_")


def element(tag: str, *children: str, **attributes: str | float | None) -> Markup:
    """One element; `class_` stands for `class`, other underscores for hyphens.

    Args:
        tag: The name, ours.
        children: Markup as it is; any other text with its control characters visible, escaped.
        attributes: Numbers are rounded to a hundredth of a unit; None leaves the attribute out.
    """
    marks = Markup().join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _attribute(value))
        for name, value in attributes.items()
        if value is not None
    )
    inner = Markup().join(escape(output(child)) for child in children)
    opening = Markup("<{}{}").format(tag, marks)
    return opening + (Markup(">{}</{}>").format(inner, tag) if inner else Markup("/>"))


def _attribute(value: str | float) -> str:
    return output(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def chart(identity: str, height: float, title: str, description: str, *children: Markup) -> Markup:
    """A drawing with its name and its content in words, for those who do not see it.

    Args:
        identity: Unique on the page, ours.
        height: In units.
        title: What it shows.
        description: What stands in it.
        children: The elements, later ones on top.
    """
    return element(
        "svg",
        element("title", title, id=f"{identity}-t"),
        element("desc", description, id=f"{identity}-d"),
        *children,
        class_="chart",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{identity}-t {identity}-d",
    )


def arrow(x: float, y: float, right: int, down: int, size: float) -> str:
    """The path of an arrowhead with its tip at a point, for what lies beyond an axis.

    Args:
        x: Of the tip.
        y: Of the tip.
        right: -1, 0 or 1: where it points.
        down: Likewise.
        size: Its length, in units.
    """
    length = math.hypot(right, down)
    along, across = (right * size / length, down * size / length), 0.75
    tail = (x - along[0], y - along[1])
    one = (tail[0] - across * along[1], tail[1] + across * along[0])
    other = (tail[0] + across * along[1], tail[1] - across * along[0])
    return f"M{one[0]:.2f} {one[1]:.2f}L{x:.2f} {y:.2f}L{other[0]:.2f} {other[1]:.2f}"


def width_of(text: str) -> float:
    """About how many units a label takes, on the wide side of common fonts."""
    return sum(map(_advance, output(text)))


def _advance(char: str) -> float:
    if ord(char) > 0x2E7F:  # letters of East Asia and most pictures
        return 11.0
    if char in NARROW:
        return LEAST
    return 8.9 if char in WIDE or char.isupper() else 6.5


def label(text: str, x: float, y: float, room: float, *, class_: str = "name") -> Markup:
    """A name that ends at `x`, centred on `y`, in one line or two, never wider than `room`.

    What does not fit is cut in the middle, where names differ least; the title has all of it.
    """
    lines = _lines(output(text), room)
    title = element("title", text)
    if len(lines) == 1:
        return element("text", title, lines[0], x=x, y=y + 3.8, class_=class_, text_anchor="end")
    spans = [element("tspan", line, x=x, y=y - 2 + 11 * i) for i, line in enumerate(lines)]
    return element("text", title, *spans, class_=f"{class_} two", text_anchor="end")


def _lines(text: str, room: float) -> list[str]:
    if width_of(text) <= room:
        return [text]
    # Two lines are set a tenth smaller, so that they fit into a row.
    room *= 1.1
    breaks = [
        i
        for i, char in enumerate(text[: int(room / LEAST)])
        if char == " " and width_of(text[:i]) <= room
    ]
    if not breaks:
        return [shortened(text, room / 1.1)]
    fitting = [i for i in breaks if width_of(text[i + 1 :]) <= room]
    at = fitting[-1] if fitting else breaks[-1]
    return [text[:at], shortened(text[at + 1 :], room)]


def shortened(text: str, room: float) -> str:
    """The text, or its beginning and its end around an ellipsis, no wider than `room`."""
    if width_of(text) <= room:
        return text
    most = min(int(room / LEAST) + 1, len(text))
    kept = next(k for k in range(most, -1, -1) if k == 0 or width_of(_ends(text, k)) <= room)
    return _ends(text, kept)


def _ends(text: str, kept: int) -> str:
    tail = kept // 2
    return f"{text[: kept - tail]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - tail :]}"
