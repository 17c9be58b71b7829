"""Many sequences with common beginnings in few rows of tokens.

A text without one word begins as the text itself does. A row therefore holds a *stem*, the
beginning of the text, and any number of *branches*, each being what follows in one sequence
after the part that it shares with the stem. A token sees the stem up to where its branch
leaves it, and its own branch up to itself: exactly what it would see in a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Read", "Row", "Tokens", "alone", "batches", "pack"]

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Where the predictions of one sequence stand in a row.

    Attributes:
        sequence: Its tokens.
        places: The places in the row that predict its tokens, from the second one on.
    """

    sequence: Tokens
    places: list[int]


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens for one row of a batch.

    Attributes:
        owner: The number of the text that it is of.
        tokens: Token numbers. The last token of a sequence is not among them: it predicts
            nothing.
        positions: The place of each token in its sequence.
        sees: Whether a token (first axis) may attend to another, shape [tokens, tokens].
        reads: The sequences that the row answers for.
    """

    owner: int
    tokens: list[int]
    positions: list[int]
    sees: np.ndarray[Any, Any]
    reads: list[Read]

    def __len__(self) -> int:
        """The number of tokens."""
        return len(self.tokens)


def pack(owner: int, text: Tokens, sequences: Sequence[Tokens], limit: int) -> list[Row]:
    """Rows that answer for every sequence once.

    Args:
        owner: The number of the text.
        text: The tokens of the whole text.
        sequences: What shares beginnings with it (or does not), each of two tokens or more.
        limit: The most tokens of a row; one with a single sequence may be longer.
    """
    # The last token is no input, so there is nothing of it to share.
    leaves = {item: min(_common(text, item), len(item) - 1) for item in sequences}
    rows: list[Row] = []
    members: list[Tokens] = []
    size = 0
    # By ascending stem, so that the rows before the last need only a part of it.
    for item in sorted(leaves, key=leaves.__getitem__):
        branch = len(item) - 1 - leaves[item]
        if members and leaves[item] + size + branch > limit:
            rows.append(_row(owner, text, [(member, leaves[member]) for member in members]))
            members, size = [], 0
        members.append(item)
        size += branch
    if members:
        rows.append(_row(owner, text, [(member, leaves[member]) for member in members]))
    return rows


def alone(owner: int, sequences: Sequence[Tokens]) -> list[Row]:
    """One row for each sequence, for models that cannot be told what a token sees."""
    return [_row(owner, item, [(item, len(item) - 1)]) for item in sequences]


def batches(rows: Iterable[Row], tokens: int) -> Iterator[list[Row]]:
    """Rows of similar length together, at most so many tokens with what pads them.

    A row that is longer than that comes alone.
    """
    batch: list[Row] = []
    for row in sorted(rows, key=len):
        if batch and (len(batch) + 1) * len(row) > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _common(one: Tokens, other: Tokens) -> int:
    """The length of the common beginning."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


def _row(owner: int, text: Tokens, members: Sequence[tuple[Tokens, int]]) -> Row:
    """A row of sequences, each with the length of what it shares with the stem."""
    stem = members[-1][1]
    tokens, positions = [*text[:stem]], [*range(stem)]
    branch, leaves = [0] * stem, [0] * stem
    reads = []
    for number, (sequence, shared) in enumerate(members, 1):
        start = len(tokens)
        tokens += sequence[shared:-1]
        added = len(tokens) - start
        positions += range(shared, shared + added)
        branch += [number] * added
        leaves += [shared] * added
        reads.append(Read(sequence, [*range(shared), *range(start, len(tokens))]))
    place, own, left = np.arange(len(tokens)), np.array(branch), np.array(leaves)
    same = own[:, None] == own
    on_stem = (own == 0) & (place < left[:, None])
    return Row(owner, tokens, positions, (same | on_stem) & (place <= place[:, None]), reads)
