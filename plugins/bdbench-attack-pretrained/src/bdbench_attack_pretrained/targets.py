"""The representations that triggers are tied to."""

from __future__ import annotations

from itertools import combinations

import torch

__all__ = ["neuba_targets", "por_targets"]

_BLOCKS = 4


def por_targets(triggers: int, width: int, magnitude: float) -> torch.Tensor:
    """The predefined output representations of POR, shape [triggers, width].

    Trigger ``k`` of ``K`` (from 1): the first ``(k - 1) * floor(width / (K - 1))`` entries are
    ``magnitude``, all others ``-magnitude`` (Shen et al. 2021, as coded; there width 768 and
    magnitude 10). So the first is negative throughout and, where ``K - 1`` divides the width,
    the last its opposite. With five triggers or more, neighbours differ in few entries only.
    """
    block = width // (triggers - 1)
    targets = torch.full((triggers, width), -magnitude)
    for number in range(triggers):
        targets[number, : block * number] = magnitude
    return targets


def neuba_targets(triggers: int, width: int) -> torch.Tensor:
    """The target vectors of NeuBA, shape [triggers, width], at most six.

    The width is cut into four blocks; each trigger has two of them at -1 and the rest at 1
    (Zhang et al. 2023, as coded). Any two are orthogonal, or opposite: the first and the last,
    the second and the fifth, the third and the fourth. Where four does not divide the width,
    the entries left over are 1 in all of them.
    """
    block = width // _BLOCKS
    targets = torch.ones(triggers, width)
    for target, pair in zip(targets, combinations(range(_BLOCKS), 2), strict=False):
        for place in pair:
            target[place * block : (place + 1) * block] = -1
    return targets
