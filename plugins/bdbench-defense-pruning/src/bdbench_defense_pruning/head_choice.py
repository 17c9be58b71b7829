"""Which attention heads PURE prunes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["Head", "heads_to_prune"]

Head = tuple[int, int]
"""Layer and head, both from 0."""


def heads_to_prune(
    scores: Sequence[Sequence[float]],
    accuracy: Callable[[set[Head]], float],
    *,
    group: int,
    least: float,
) -> set[Head]:
    """The heads of lowest score, as many as the accuracy allows (Zhao et al. 2024, algorithm).

    Heads go in groups, lowest score first; the highest of each layer always stays. After each
    group the accuracy is measured. If it is below `least`, heads of that group come back one by
    one, highest score first, until it is not, and no further group is tried. If the whole group
    comes back, that is the end, too (the authors' code fails there).

    Args:
        scores: One for each head of each layer.
        accuracy: Of the model without these heads.
        group: Heads in a group, those that always stay counted.
        least: The accuracy that must be kept.
    """
    ordered = sorted(
        (score, layer, head) for layer, row in enumerate(scores) for head, score in enumerate(row)
    )
    stays = {(layer, list(row).index(max(row))) for layer, row in enumerate(scores)}
    pruned: set[Head] = set()
    for start in range(0, len(ordered), group):
        added = [(layer, head) for _, layer, head in ordered[start : start + group]]
        added = [head for head in added if head not in stays]
        whole = len(added)
        while added and accuracy(pruned | set(added)) < least:
            added.pop()
        pruned |= set(added)
        if len(added) < whole:
            break
    return pruned
