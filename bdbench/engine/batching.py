"""Batches of rows of similar size, so that little of a batch is padding."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

__all__ = ["evaluation_batches", "training_batches"]

POOL = 50
"""Batches' worth of shuffled rows that are sorted together: the larger, the less padding, and
the less random the composition of a batch."""


def training_batches(sizes: Sequence[int], batch_size: int, rng: random.Random) -> list[list[int]]:
    """One epoch: every row once, in shuffled batches of similar size.

    Args:
        sizes: How much work each row is (tokens, pixels).
        batch_size: Rows in a batch; the last one made may have fewer.
        rng: Decides the order; the same state gives the same batches.
    """
    order = list(range(len(sizes)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), POOL * batch_size):
        pool = sorted(order[start : start + POOL * batch_size], key=lambda row: sizes[row])
        batches += [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
    rng.shuffle(batches)
    return batches


def evaluation_batches(
    sizes: Sequence[int], max_size: int = 4096, max_rows: int = 64
) -> Iterator[list[int]]:
    """Every row once, longest first (memory runs out at once or never).

    Args:
        sizes: How much work each row is.
        max_size: At most so much work in a batch, padding counted.
        max_rows: At most so many rows in a batch.
    """
    order = sorted(range(len(sizes)), key=lambda row: (-sizes[row], row))
    start = 0
    while start < len(order):
        rows = max(1, min(max_rows, max_size // max(1, sizes[order[start]])))
        yield order[start : start + rows]
        start += rows
