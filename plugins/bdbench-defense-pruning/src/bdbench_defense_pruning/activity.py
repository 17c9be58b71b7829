"""How active feed-forward neurons are on rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from bdbench.api import Checkpoint, DefenderView, Examples, InputError
from bdbench_defense_pruning.blocks import FeedForward

__all__ = ["mean_activity"]

_BATCH = 64


def mean_activity(
    view: DefenderView,
    module: torch.nn.Module,
    like: Checkpoint,
    rows: Examples,
    blocks: Sequence[FeedForward],
) -> list[torch.Tensor]:
    """The mean absolute activation of each neuron of each block, over all real tokens of the rows.

    Liu et al. (2018) rank by the mean activation after a ReLU, to which this is equal. GELU goes
    below zero: there the mean with its sign would call a neuron that is always at -0.1 less
    active than one that is always at 0, the absolute value does not.

    Padding, as an ``attention_mask`` among the inputs tells it, is not counted. Models whose
    inputs have no such mask have every position counted.

    Returns:
        A tensor of shape [neurons] for each block, in fp64.

    Raises:
        InputError: A block took no part when the model ran.
    """
    counters = [_Counter(block) for block in blocks]
    handles = [
        block.down.register_forward_pre_hook(counter)
        for block, counter in zip(blocks, counters, strict=True)
    ]
    module.eval()
    try:
        order = view.seeds.child("activity")
        for inputs, labels in view.engine.batches(like, rows, _BATCH, order):
            real = _real_tokens(inputs)
            for counter in counters:
                counter.real = real
            with torch.no_grad():
                view.engine.loss(module, inputs, labels)
    finally:
        for handle in handles:
            handle.remove()
    return [counter.mean() for counter in counters]


class _Counter:
    def __init__(self, block: FeedForward) -> None:
        self.name = block.name
        self.real: torch.Tensor | None = None
        self.total = torch.zeros(
            block.down.in_features, dtype=torch.float64, device=block.down.weight.device
        )
        self.count = 0

    def __call__(self, _: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        active = inputs[0].detach()
        if self.real is not None and active.shape[:-1] == self.real.shape:
            active = active[self.real]
        active = active.reshape(-1, active.shape[-1])
        self.total += active.double().abs().sum(dim=0)
        self.count += len(active)

    def mean(self) -> torch.Tensor:
        if not self.count:
            raise InputError(
                "a feed-forward block took no part when the model ran",
                where="fine-pruning",
                found=self.name,
                expected="a layer that every input goes through",
                next="use another defense for this model, for instance magnitude-pruning",
            )
        return self.total / self.count


def _real_tokens(inputs: Any) -> torch.Tensor | None:
    mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
    return mask.bool() if isinstance(mask, torch.Tensor) else None
