"""How many words of a text were changed."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["changed_share", "edit_distance"]


def changed_share(before: str, after: str) -> float:
    """The share of words that were changed, in [0, 1].

    Edit distance in words over the number of words of the longer text. Words are what stands
    between whitespace, punctuation and case included; 0 if and only if these are the same.
    """
    one, other = before.split(), after.split()
    return edit_distance(one, other) / max(len(one), len(other), 1)


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """The fewest words to insert, delete or substitute to turn one into the other."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    # Row by row of Wagner and Fischer's table, which needs only the row before.
    costs = list(range(len(other) + 1))
    for row, word in enumerate(one, 1):
        above, costs[0] = costs[0], row
        for column, their in enumerate(other, 1):
            replaced = above + (word != their)
            above = costs[column]
            costs[column] = min(replaced, above + 1, costs[column - 1] + 1)
    return costs[-1]
