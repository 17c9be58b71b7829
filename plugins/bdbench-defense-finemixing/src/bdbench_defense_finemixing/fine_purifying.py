"""Fine-purifying (Zhang et al. 2023)."""

from __future__ import annotations

from typing import Any

import torch

from bdbench.api import Checkpoint, DefenderView, Examples, NonFiniteError
from bdbench_defense_finemixing.body import Body
from bdbench_defense_finemixing.config import FinePurifyingConfig
from bdbench_defense_finemixing.mixing import MixingDefense
from bdbench_defense_finemixing.selections import LeastSuspicious, Selection

__all__ = ["FinePurifying", "squared_gradients"]


class FinePurifying(MixingDefense):
    """Puts back the share ``1 - rho`` with the largest indicator ``change^2 / H``, then tunes."""

    config: FinePurifyingConfig
    name = "fine-purifying"

    def selection(
        self, victim: Checkpoint, body: Body, rows: Examples, view: DefenderView
    ) -> tuple[Selection, dict[str, Any]]:
        """The lowest indicators, with H estimated on the clean rows."""
        curvature = squared_gradients(victim, body, rows, view)
        mean = sum(float(part.double().sum()) for part in curvature.values()) / body.size
        # Where no clean row has any gradient at all, only the order of the changes is left.
        damping = self.config.damping * mean or 1.0
        zeros = sum(int((part == 0).sum()) for part in curvature.values())
        notes = {"mean_squared_gradient": mean, "share_without_gradient": zeros / body.size}
        return LeastSuspicious(curvature, damping), notes


def squared_gradients(
    victim: Checkpoint, body: Body, rows: Examples, view: DefenderView
) -> dict[str, torch.Tensor]:
    """The diagonal of the empirical Fisher information, which stands in for the Hessian's.

    The mean over the rows of the squared gradient of each row's own loss at its true label,
    without dropout; by weight of the body, each of the weight's shape.

    Raises:
        NonFiniteError: A gradient is NaN or infinite.
    """
    module = view.engine.load(victim)
    sums = {name: torch.zeros_like(weight) for name, weight in body.weights(module)}
    for inputs, labels in view.engine.batches(victim, rows, 1, view.seeds.child("gradients")):
        module.zero_grad(set_to_none=True)
        view.engine.loss(module, inputs, labels).sum().backward()  # type: ignore[no-untyped-call]
        for name, weight in body.weights(module):
            if weight.grad is not None:
                sums[name].addcmul_(weight.grad, weight.grad)
    for name, total in sums.items():
        if not torch.isfinite(total.div_(len(rows))).all():
            raise NonFiniteError(
                "the gradients on the clean rows are not finite",
                where="fine-purifying",
                found=f"NaN or infinity in those of {name!r}",
                expected="finite numbers",
                next="look at the victim, or set training.precision: fp32",
            )
    return sums
