"""Comparisons as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bdbench.api import Reporter
from bdbench.results.render.cells import (
    head,
    left_out,
    number,
    places,
    shown_columns,
    state,
    visible,
)

__all__ = ["MarkdownReporter"]


class MarkdownReporter(Reporter):
    """A table for a README or an issue."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """A Markdown table with the notes below it."""
        columns = shown_columns(comparison)
        heads = ["attack", "defense", *(_escape(head(column)) for column in columns), "seeds"]
        lines = []
        for place in places(comparison):
            lines += [f"**{_escape(' · '.join(place))}**", ""]
            lines.append("| " + " | ".join(heads) + " |")
            lines.append("| --- | --- |" + " ---: |" * (len(heads) - 2))
            for row in comparison["rows"]:
                if (row["dataset"], row["model"]) != place:
                    continue
                values = [number(column, row["values"][column["name"]]) for column in columns]
                texts = [_escape(row["attack"]), _escape(row["defense"])]
                lines.append("| " + " | ".join([*texts, *values, state(row)]) + " |")
            lines.append("")
        notes = filter(None, [*comparison["notes"], left_out(comparison)])
        lines += [f"- {_escape(note)}" for note in notes]
        return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    for char in "\\`*_{}[]<>#|":
        text = text.replace(char, f"\\{char}")
    return visible(text)
