"""The ranking of one data set and model as a LaTeX table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bdbench.results.render.cells import column_of
from bdbench.results.render.latex_parts import (
    BEGIN,
    foot,
    head_of,
    name_of,
    number_of,
    short_name,
    slug,
)
from bdbench.results.render.latex_text import escape
from bdbench.results.render.words import ranking_notes

__all__ = ["ranking_table"]


def ranking_table(
    comparison: Mapping[str, Any], ranking: Mapping[str, Any], at: int
) -> Iterator[str]:
    """The lines of the table.

    Args:
        comparison: The comparison.
        ranking: One of its rankings.
        at: Which table of results it belongs to, for its label.
    """
    attack, utility = column_of(comparison, "attack"), column_of(comparison, "utility")
    place = (ranking["dataset"], ranking["model"])
    yield from BEGIN
    first, *notes = ranking_notes(comparison, ranking)
    yield rf"\caption{{{escape(', '.join(place))}: {escape(first[0].lower() + first[1:])}}}"
    yield rf"\label{{tab:bdbench-{at}-{slug(place)}-ranking}}"
    # Heads of two lines: a table with long ones would leave the page.
    tops, heads = ["", "mean"], ["defense", r"rank $\downarrow$"]
    if attack:
        tops.append(rf"\multicolumn{{2}}{{c}}{{{head_of(attack)}}}")
        heads += ["mean", "worst"]
    if utility:
        tops.append("change of")
        heads.append(head_of(utility))
    tops.append("won--tied")
    heads.append("--lost")
    yield rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}"
    yield from (r"\toprule", " & ".join(tops) + r" \\")
    if attack:
        yield r"\cmidrule(lr){3-4}"
    yield from (" & ".join(heads) + r" \\", r"\midrule")
    for entry in ranking["defenses"]:
        cells = [name_of(entry["defense"]), f"{entry['mean_rank']:.2f}"]
        if attack:
            values = (entry["mean_attack"], entry["worst_attack"]["value"])
            cells += [number_of(attack, value) for value in values]
        cells += [number_of(utility, entry["utility_change"], signed=True)] if utility else []
        cells.append(f"{entry['wins']}--{entry['ties']}--{entry['losses']}")
        yield " & ".join(cells) + r" \\"
    yield from (r"\bottomrule", r"\end{tabular}")
    worst = [f"Worst {short_name(attack)[0]}: {_worst(ranking['defenses'])}."] if attack else []
    yield from foot([*worst, *map(escape, notes)])
    yield r"\end{table}"


def _worst(entries: Sequence[Mapping[str, Any]]) -> str:
    """Under which attack each defense has its worst value, escaped."""
    defenses: dict[str, list[str]] = {}
    for entry in entries:
        defenses.setdefault(entry["worst_attack"]["attack"], []).append(name_of(entry["defense"]))
    return "; ".join(
        f"under {escape(attack)} for {', '.join(names)}" for attack, names in defenses.items()
    )
