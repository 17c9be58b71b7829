"""The exact rank of a magnitude among all changes of a model, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bdbench.api import Checkpoint
from bdbench.toolkit.weights import PIECE, WeightReader

__all__ = ["least_kept"]

_BINS = 1 << 16


def least_kept(model: Checkpoint, base: Checkpoint, keep: float, *, name: str) -> float:
    """The least magnitude in the share `keep` of a model's largest changes from the base.

    Over the n elements of all floating tensors together, in fp32; ``round(keep * n)`` of them,
    at least one, count as the largest.

    The bit patterns of positive floats, read as whole numbers, have the order of the floats.
    So one pass counts the upper halves of the patterns, which tells the upper half of the
    wanted one, and a second pass counts the lower halves under it.

    Args:
        model: Of the same tensors as `base`.
        base: The weights to compare with.
        keep: In (0, 1].
        name: What messages call the model.

    Raises:
        NonFiniteError: The model or the base holds NaN or infinity.
    """
    with WeightReader(model, name) as ours, WeightReader(base, "base weights") as theirs:
        upper = _histogram(ours, theirs, None)
        rank = max(1, round(keep * int(upper.sum())))
        high, above = _bin_of(upper, rank)
        low, _ = _bin_of(_histogram(ours, theirs, high), rank - above)
    return float(np.uint32(high * _BINS + low).view(np.float32))


def _histogram(
    ours: WeightReader, theirs: WeightReader, high: int | None
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How often each upper half occurs, or each lower half under the upper half `high`."""
    counts = np.zeros(_BINS, dtype=np.int64)
    for stored in ours:
        if not stored.info.dtype.is_floating_point:
            continue
        for start in range(0, stored.info.numel, PIECE):
            stop = min(start + PIECE, stored.info.numel)
            before = theirs[stored.info.name].read_finite(start, stop)
            change = (stored.read_finite(start, stop) - before).float().abs_()
            bits = change.view(torch.int32).numpy()
            halves = bits >> 16 if high is None else bits[bits >> 16 == high] & (_BINS - 1)
            counts += np.bincount(halves, minlength=_BINS)
    return counts


def _bin_of(counts: np.ndarray[Any, np.dtype[np.int64]], rank: int) -> tuple[int, int]:
    """The bin that holds the element of this rank from the top, and how many lie above it."""
    falling = counts[::-1]
    reached = np.cumsum(falling)
    place = int(np.searchsorted(reached, rank))
    return len(counts) - 1 - place, int(reached[place] - falling[place])
