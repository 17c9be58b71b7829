"""What all LaTeX tables of a comparison share: heads, names, numbers and notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bdbench.results.render.latex_text import escape
from bdbench.results.render.latex_width import cut, points

__all__ = [
    "BEGIN",
    "GAP",
    "NAME",
    "foot",
    "head_of",
    "name_of",
    "number_of",
    "short_name",
    "slug",
    "width_of_head",
]

NAMES = {
    "asr": ("ASR", "attack success rate"),
    "clean_accuracy": ("CA", "clean accuracy"),
}
ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "none": ""}
NAME, HEAD = 115.0, 90.0
"""Points that a name and the head of a column may take; longer ones are cut."""
GAP = 5
"""Points on both sides of a column."""
BEGIN = (
    r"\begin{table}[htbp]",
    r"\centering",
    r"\small",
    rf"\setlength{{\tabcolsep}}{{{GAP}pt}}",
    # Captions stand above tables, where LaTeX leaves no room below them.
    r"\setlength{\belowcaptionskip}{6pt}",
)


def foot(notes: Sequence[str]) -> Iterator[str]:
    """Notes below a table, escaped already; nothing without any."""
    if notes:
        yield r"\par\smallskip"
        yield r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
        yield "\\par\n".join(notes)
        yield r"\end{minipage}"


def short_name(column: Mapping[str, Any]) -> tuple[str, str]:
    """A column's short name and what it stands for, escaped."""
    known = NAMES.get(column["name"])
    return known or (escape(cut(column["name"].replace("_", " "), HEAD)), "")


def head_of(column: Mapping[str, Any]) -> str:
    """What stands above a column, escaped: its short name, and where better is."""
    return short_name(column)[0] + ARROWS[column["direction"]]


def width_of_head(column: Mapping[str, Any]) -> float:
    """About how many points `head_of` takes."""
    known = NAMES.get(column["name"])
    width = points(known[0] if known else column["name"].replace("_", " "))
    return min(width, HEAD) + (points(" *") if ARROWS[column["direction"]] else 0)


def number_of(column: Mapping[str, Any], value: float | None, *, signed: bool = False) -> str:
    """A share in percent with one decimal, as papers have it; anything else as it is."""
    if value is None:
        return "--"
    text = f"{value:.4g}" if column["unit"] != "share" else f"{round(100 * value, 1) + 0.0:.1f}"
    if text.startswith("-"):
        return f"$-${text[1:]}"
    return f"$+${text}" if signed and float(text) else text


def name_of(text: str) -> str:
    """The name of an attack or a defense, escaped, and cut if it is long."""
    return escape(cut(text, NAME))


def slug(place: tuple[str, str]) -> str:
    """Data set and model within the label of a table."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(place).lower()).strip("-")
