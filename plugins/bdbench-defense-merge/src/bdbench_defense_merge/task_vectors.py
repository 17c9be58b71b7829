"""Merging of task vectors: what each model changed in the base weights.

Each function takes what is merged and its settings, and gives the rule for
`bdbench.toolkit.weights.combine`. The rule gets the base weights as the last part of each
tensor; below, ``tau_i = theta_i - base``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from bdbench.toolkit.weights import Rule, Step, StoredTensor, elementwise
from bdbench_defense_merge.merging import Merging, total
from bdbench_defense_merge.threshold import least_kept

__all__ = ["dare", "task_arithmetic", "ties"]


def task_arithmetic(_: Merging, *, scale: float) -> Rule:
    """``base + scale * sum(tau_i)`` (Ilharco et al. 2023)."""
    return elementwise(lambda values: values[-1] + scale * total(_changes(values)))


def ties(merging: Merging, *, keep: float, scale: float) -> Rule:
    """TIES (Yadav et al. 2023): trim, elect signs, average the changes that agree.

    Of each model's task vector, taken over all tensors together, the share `keep` of largest
    magnitude is kept (with all that equal the smallest kept one) and the rest is set to 0. The
    elected sign of an element is that of its sum over the models. The merged change is the
    mean over the models whose change has that sign, and 0 where the sum is exactly 0; `scale`
    times that is added to the base.
    """
    base = merging.view.base
    least = [least_kept(model, base, keep, name=name) for name, model in merging.models.items()]
    merging.notes["smallest_change_kept"] = least

    def step(values: Sequence[torch.Tensor]) -> torch.Tensor:
        trimmed = [
            change * (change.float().abs() >= limit)
            for change, limit in zip(_changes(values), least, strict=True)
        ]
        sign = total(trimmed).sign_()
        agree = [change.sign() == sign for change in trimmed]
        counts = total([agrees.to(sign.dtype) for agrees in agree]).clamp_(min=1)
        summed = total([change * agrees for change, agrees in zip(trimmed, agree, strict=True)])
        return values[-1] + scale * (summed / counts)

    return elementwise(step)


def dare(merging: Merging, *, drop: float, scale: float) -> Rule:
    """DARE (Yu et al. 2024), then the mean: ``base + scale * mean(kept_i)``.

    ``kept_i`` is ``tau_i / (1 - drop)`` where a uniform number in [0, 1) is at least `drop`,
    else 0. The numbers of model i (0 is the victim) for a tensor come from the stream
    ``(name of the tensor, i)``, in row-major order.
    """

    def rule(parts: Sequence[StoredTensor]) -> Step:
        draws = [
            np.random.default_rng(merging.view.seeds.child(parts[0].info.name, model).seed())
            for model in range(len(parts) - 1)
        ]

        def step(values: Sequence[torch.Tensor]) -> torch.Tensor:
            kept = [
                change * torch.from_numpy(draw.random(len(change), dtype=np.float32) >= drop)
                for change, draw in zip(_changes(values), draws, strict=True)
            ]
            return values[-1] + scale * (total(kept) / (len(kept) * (1 - drop)))

        return step

    return rule


def _changes(values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [value - values[-1] for value in values[:-1]]
