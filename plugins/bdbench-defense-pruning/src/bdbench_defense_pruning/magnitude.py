"""Magnitude pruning: without the smallest weights, then fine-tuned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from bdbench.api import Checkpoint, DefenderView, Defense, InputError, Repair, Selection
from bdbench_defense_pruning.amount import settle_amount
from bdbench_defense_pruning.clean_rows import accuracy
from bdbench_defense_pruning.config import MagnitudePruningConfig

__all__ = ["MagnitudePruning", "body_matrices", "held_at_zero"]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class MagnitudePruning(Defense):
    """Han, Pool, Tran and Dally (NIPS 2015): weights near zero go, the rest is trained again.

    It was not made against backdoors; it stands here as the simplest pruning there is.
    """

    config: MagnitudePruningConfig

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes the pruned model to ``view.workspace / "model"``.

        With ``amount: auto`` all clean rows decide on the amount: no row has a part in the
        ranking.

        Raises:
            InputError: The model has no matrices besides its head.
        """
        config, rows = self.config, view.clean_rows
        module = view.engine.load(victim)
        weights = body_matrices(module)
        originals = [weight.detach().clone() for weight in weights]

        def prune(amount: float) -> None:
            limits = _thresholds(originals, amount, together=config.scope == "global")
            with torch.no_grad():
                for weight, original, limit in zip(weights, originals, limits, strict=True):
                    weight.copy_(original.masked_fill(original.abs() <= limit, 0))

        notes = settle_amount(config, prune, lambda: accuracy(view, module, victim, rows))
        pruned = sum(int((weight == 0).sum()) for weight in weights)
        if config.fine_tune:
            with held_at_zero(weights):
                view.engine.fine_tune(module, victim, rows, config, view.seeds.child("fine-tune"))
        selection = Selection(notes.pop("selection"))
        return Repair(
            view.engine.save(module, victim, view.workspace / "model"),
            notes={
                **notes,
                "matrices": len(weights),
                "weights": sum(weight.numel() for weight in weights),
                "weights_at_zero": pruned,
                "rows_fine_tuned_on": len(rows) if config.fine_tune else 0,
            },
            selection=selection,
        )


def body_matrices(module: nn.Module) -> list[torch.Tensor]:
    """The weights of all linear and convolution layers but the last linear one, the head.

    Embeddings, biases and normalisation are not among them.

    Raises:
        InputError: There are none.
    """
    layers = [part for part in module.modules() if isinstance(part, _LAYERS)]
    head = next((part for part in reversed(layers) if isinstance(part, nn.Linear)), None)
    weights = [part.weight for part in layers if part is not head]
    if not weights:
        raise InputError(
            "the model has no matrices to prune besides its head",
            where="magnitude-pruning",
            found=f"{type(module).__name__} with {len(layers)} linear or convolution layers",
            expected="two or more",
            next="use another defense for this model",
        )
    return weights


@contextmanager
def held_at_zero(weights: Sequence[torch.Tensor]) -> Iterator[None]:
    """Keeps what is zero now at zero while the model is trained.

    Their gradients are made zero. AdamW and SGD with any momentum and decay then leave a zero
    exactly as it is.
    """
    handles = []
    for weight in weights:
        dead = weight.detach() == 0
        mask = partial(_without, dead)
        handles.append(weight.register_hook(mask))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _without(dead: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    return gradient.masked_fill(dead, 0)


def _thresholds(
    matrices: Sequence[torch.Tensor], amount: float, *, together: bool
) -> Sequence[float]:
    """For each matrix, the magnitude up to which weights are pruned; -1 for none."""
    if together:
        every = torch.cat([matrix.abs().flatten() for matrix in matrices])
        return [_smallest(every, amount)] * len(matrices)
    return [_smallest(matrix.abs().flatten(), amount) for matrix in matrices]


def _smallest(magnitudes: torch.Tensor, amount: float) -> float:
    count = round(amount * len(magnitudes))
    return magnitudes.kthvalue(count).values.item() if count else -1.0
