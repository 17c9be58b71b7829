"""Comparisons as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bdbench.api import Reporter
from bdbench.results.render.cells import (
    left_out,
    place_rows,
    places,
    rank_among,
    ranks,
    seconds,
    state,
    visible,
)
from bdbench.results.render.fields import Field, fields_of, ranking_fields
from bdbench.results.render.words import legend, mark_of, ranking_notes, row_notes, unranked

__all__ = ["MarkdownReporter"]

TEXTS = ("needs", "selection", "isolation")
SPECIAL = "\\`*_{}[]<>#|~&"
"""Characters that Markdown or the HTML within it would act on."""


class MarkdownReporter(Reporter):
    """A table for a README or an issue."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """A Markdown table for each data set and model, with rankings and notes below."""
        lines: list[str] = []
        fields = fields_of(comparison)
        for place in places(comparison):
            rows = place_rows(comparison, place)
            lines += [f"**{_escape(' · '.join(place))}**", ""]
            lines += [*_results(comparison, rows, fields), "", *_list(row_notes(rows))]
            for ranking in comparison["rankings"]:
                if (ranking["dataset"], ranking["model"]) == place:
                    lines += ["**ranking**", "", *_ranking(comparison, ranking), ""]
                    lines += _list(ranking_notes(comparison, ranking))
        marks = legend(comparison, intervals=any(field.intervals for field in fields))
        lines += _list([*marks, *comparison["notes"], left_out(comparison)])
        return "\n".join(lines).rstrip("\n") + "\n"


def _results(
    comparison: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], fields: Sequence[Field]
) -> Iterator[str]:
    heads = ["attack", "defense", *(field.head for field in fields), "seconds", "seeds"]
    yield _line("#", *heads, *TEXTS)
    yield "| ---: | --- | --- |" + " ---: |" * (len(heads) - 2) + " --- |" * len(TEXTS)
    reasons = unranked(rows)
    for row, rank in zip(rows, ranks(comparison, rows), strict=True):
        shown = [field.cell(row) for field in fields]
        yield _line(
            mark_of(row, rank, reasons),
            row["attack"],
            row["defense"],
            *(cell.text + cell.more for cell in shown),
            seconds(row["cost"]["seconds"]),
            state(row),
            *(row[name] for name in TEXTS),
        )


def _ranking(comparison: Mapping[str, Any], ranking: Mapping[str, Any]) -> Iterator[str]:
    fields = list(ranking_fields(comparison))
    yield _line("#", "defense", *(field.head for field in fields), "worst attack")
    yield "| ---: | --- |" + " ---: |" * len(fields) + " --- |"
    means = [entry["mean_rank"] for entry in ranking["defenses"]]
    for entry in ranking["defenses"]:
        shown = (field.cell(entry) for field in fields)
        values = (cell.text + cell.more for cell in shown)
        rank = rank_among(entry["mean_rank"], means)
        yield _line(rank, entry["defense"], *values, entry["worst_attack"]["attack"])


def _line(*texts: str) -> str:
    return f"| {' | '.join(map(_escape, texts))} |"


def _list(notes: Iterable[str]) -> list[str]:
    """The notes that are not empty as a list, with an empty line after it."""
    found = [f"- {_escape(note)}" for note in notes if note]
    return [*found, ""] if found else []


def _escape(text: str) -> str:
    escaped = "".join(f"\\{char}" if char in SPECIAL else visible(char) for char in text)
    # Addresses would become links by themselves.
    return escaped.replace("://", ":\\//").replace("www.", "www\\.")
