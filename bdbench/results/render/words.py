"""What stands below the tables of a comparison, in sentences, and the marks that lead there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bdbench.api.needs import Access
from bdbench.results.render.cells import column_of, head, probability

__all__ = [
    "GATED",
    "beyond_the_victim",
    "legend",
    "mark_of",
    "ranking_notes",
    "row_notes",
    "unranked",
]

GATED = "†"
"""Marks an attack that is not ranked: it did not take, or harms the victim."""
ALPHA = 0.05
REACH = {"nothing", *(level.name.lower() for level in Access)}
"""How needs say how far a defense reaches into the victim itself."""


def legend(comparison: Mapping[str, Any], *, intervals: bool) -> list[str]:
    """What marks and brackets mean, as far as the comparison has them.

    Args:
        comparison: The comparison.
        intervals: Whether the tables show any.
    """
    rows = comparison["rows"]
    changes = [change for row in rows for change in row["changes"].values() if change]
    found = ["[low, high]: 95 % interval."] if intervals else []
    if any(change["p_holm"] is not None for change in changes):
        found.append(
            "*: differs from no defense under the same attack "
            "(paired by seed and test row, Holm-corrected, p < .05)."
        )
    column = column_of(comparison, "attack")
    if column and any(row["ranked"] for row in rows):
        found.append(f"#: rank by mean {_name(column)} among the defenses of the attack.")
    return found


def unranked(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why rows are not ranked, each reason once, in the order of its mark.

    The control's rows need no reason, and those of an attack that is not ranked have the
    attack's.
    """
    return list(
        dict.fromkeys(
            row["unranked_because"]
            for row in rows
            if not row["ranked"] and not row["control"] and row["gate"]["passed"]
        )
    )


def mark_of(row: Mapping[str, Any], rank: str, reasons: Sequence[str]) -> str:
    """What stands in the column of ranks: the rank, or a mark that leads to a reason.

    Args:
        row: The row.
        rank: Its rank; empty if it has none.
        reasons: What `unranked` gives for its table.
    """
    if rank or row["control"] or row["ranked"]:
        return rank
    if not row["gate"]["passed"]:
        return GATED
    return f"[{1 + reasons.index(row['unranked_because'])}]"


def row_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why rows and attacks of a table are not ranked, by their marks."""
    found = [f"[{at}] not ranked: {why}." for at, why in enumerate(unranked(rows), 1)]
    gated = {
        row["attack"]: row["gate"]["reason"]
        for row in rows
        if not row["gate"]["passed"] and not row["control"]
    }
    found += [f"{GATED} {attack} is not ranked: {why}." for attack, why in gated.items()]
    return found


def beyond_the_victim(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What defenses take besides the victim, in one sentence; nothing if none does."""
    takers: dict[str, dict[str, None]] = {}
    for row in rows:
        needs = ", ".join(need for need in row["needs"].split(", ") if need not in REACH)
        if needs:
            takers.setdefault(needs, {})[row["defense"]] = None
    if takers:
        listed = (f"{needs} ({', '.join(names)})" for needs, names in takers.items())
        yield f"besides the victim, defenses take: {'; '.join(listed)}."


def ranking_notes(comparison: Mapping[str, Any], ranking: Mapping[str, Any]) -> Iterator[str]:
    """What a ranking rests on and how far its differences can be trusted, in sentences."""
    column = column_of(comparison, "attack")
    name = _name(column) if column else "success of the attack"
    count = len(ranking["attacks"])
    plural = "attack" if count == 1 else "attacks"
    yield f"Ranked by {name} over {count} {plural}: {', '.join(ranking['attacks'])}."
    if ranking["left_out"]:
        reasons = (f"{item['attack']} ({item['reason']})" for item in ranking["left_out"])
        yield f"Left out: {', '.join(reasons)}."
    friedman = ranking["friedman"]
    if friedman and friedman["p"] is not None:
        differ = "differ" if friedman["p"] < ALPHA else "do not differ"
        yield (
            f"The ranks {differ} more than chance would have it: Friedman's statistic is "
            f"{friedman['statistic']:.2f}, {probability(friedman['p'])}."
        )
    difference = ranking["critical_difference"]
    if difference is not None:
        groups = "; ".join(", ".join(group) for group in ranking["cliques"] if len(group) > 1)
        yield (
            f"Mean ranks closer than {difference:.2f} cannot be told apart (Nemenyi, 5 %): "
            f"{groups or 'none are'}."
        )
    if ranking["note"]:
        yield ranking["note"]


def _name(column: Mapping[str, Any]) -> str:
    """A column's short head without its arrow."""
    return head(column).rstrip(" ↑↓")
