"""Merging without the base weights: means and spherical interpolation.

Each function takes what is merged and its settings, and gives the rule for
`bdbench.toolkit.weights.combine`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bdbench.toolkit.weights import Rule, Step, StoredTensor, elementwise
from bdbench_defense_merge.merging import Merging, total, weighted_total

__all__ = ["mean", "slerp", "weighted_mean"]

# Nearer than this (in cosine) to parallel or opposite, the sines of the formula lose their
# digits; 0.9995 is the customary limit.
_PARALLEL = 0.9995

# Norms are summed in fixed pieces, so that they cannot depend on how the merge is cut.
_NORM_PIECE = 1 << 16


def mean(merging: Merging) -> Rule:
    """WAG (Arora et al. 2024): the plain mean over the victim and the references.

    In fp32, ``((victim + reference 1) + reference 2 + ...) / n``: added in this order, then
    divided once.
    """
    count = len(merging.models)
    return elementwise(lambda values: total(values).div_(count))


def weighted_mean(_: Merging, *, weights: Sequence[float]) -> Rule:
    """``sum(w_i * theta_i) / sum(w_i)``, in fp32, added in the order of the models.

    Equal to `mean` to the last bit where all weights are 1.
    """
    whole = math.fsum(weights)
    return elementwise(lambda values: weighted_total(values, weights).div_(whole))


def slerp(merging: Merging, *, fraction: float) -> Rule:
    """Spherical interpolation between the victim and one reference, tensor by tensor.

    With ``f`` the fraction and ``w`` the angle between both tensors taken as vectors::

        (sin((1 - f) w) * victim + sin(f w) * reference) / sin(w)

    (Shoemake 1985). Where they are nearly parallel or opposite, or one is zero, linear
    interpolation takes its place; the notes count those tensors. Models that were fine-tuned
    from one base are nearly parallel in most.
    """
    merging.notes["tensors_interpolated_linearly"] = 0

    def rule(parts: Sequence[StoredTensor]) -> Step:
        cosine = _cosine(*parts)
        ours, theirs = 1 - fraction, fraction
        if abs(cosine) > _PARALLEL:
            merging.notes["tensors_interpolated_linearly"] += 1
        else:
            angle = math.acos(cosine)
            ours, theirs = (math.sin(part * angle) / math.sin(angle) for part in (ours, theirs))
        return lambda values: values[0] * ours + values[1] * theirs

    return rule


def _cosine(one: StoredTensor, other: StoredTensor) -> float:
    """The cosine between two tensors as vectors, in fp64; 1 if one is zero or has no elements."""
    sums = [[0.0, 0.0, 0.0]]
    for start in range(0, one.info.numel, _NORM_PIECE):
        stop = min(start + _NORM_PIECE, one.info.numel)
        a, b = (part.read_finite(start, stop).double() for part in (one, other))
        sums.append([float((x * y).sum()) for x, y in ((a, b), (a, a), (b, b))])
    dot, square, other_square = (math.fsum(column) for column in zip(*sums, strict=True))
    norms = math.sqrt(square) * math.sqrt(other_square)
    return dot / norms if norms else 1.0
