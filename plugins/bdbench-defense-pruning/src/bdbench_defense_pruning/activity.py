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
    inputs have no such mask have every position counted, and so has a block that sees one value
    for each row.

    Returns:
        A tensor of shape [neurons] for each block, in fp64.

    Raises:
        InputError: A block took no part when the model ran, or works on other positions than the
            mask tells of, as where a model pads or pools by itself.
    """
    counters = [_Counter(block, type(module).__name__) for block in blocks]
    handles = [
        block.down.register_forward_pre_hook(counter)
        for block, counter in zip(blocks, counters, strict=True)
    ]
    module.eval()
    order = view.seeds.child("activity")

    def run(rows: Examples, batch_size: int) -> None:
        for inputs, labels in view.engine.batches(like, rows, batch_size, order):
            real = _real_tokens(inputs)
            for counter in counters:
                counter.real = real
            with torch.no_grad():
                view.engine.loss(module, inputs, labels)

    try:
        run(rows, _BATCH)
        means = [counter.mean() for counter in counters]
        if any(counter.unsure for counter in counters):
            run(rows.select([0]), 1)  # where tokens come before rows, this is refused
    finally:
        for handle in handles:
            handle.remove()
    return means


class _Counter:
    def __init__(self, block: FeedForward, model: str) -> None:
        self.name = block.name
        self.model = model
        self.real: torch.Tensor | None = None
        self.total = torch.zeros(
            block.down.in_features, dtype=torch.float64, device=block.down.weight.device
        )
        self.count = 0
        self._square = self._oblong = False

    @property
    def unsure(self) -> bool:
        """Whether rows and tokens were as many wherever there was padding.

        Then a model that puts tokens before rows, such as XLNet, looks like any other.
        """
        return self._square and not self._oblong

    def __call__(self, _: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        active = inputs[0].detach()
        if self.real is not None:
            active = self._without_padding(active, self.real)
        active = active.reshape(-1, active.shape[-1])
        self.total += active.double().abs().sum(dim=0)
        self.count += len(active)

    def _without_padding(self, active: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        positions = active.shape[:-1]
        if positions == real.shape:
            if len(set(positions)) > 1:
                self._oblong = True
            elif not real.all():
                self._square = True
            return active[real]
        if positions == real.shape[:1]:
            return active
        raise InputError(
            "padding cannot be told from the tokens of the rows",
            where="fine-pruning",
            found=f"{self.name} of {self.model} at positions of shape {list(positions)}",
            expected=f"{list(real.shape)}, the shape of the attention mask: rows, then tokens",
            next="use another defense for this model, for instance magnitude-pruning",
        )

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
