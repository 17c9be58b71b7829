"""The training loop: one for victims, reference models and every defense that fine-tunes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from bdbench.api import Checkpoint, Engine, Examples, InputError, Recipe, SeedStream
from bdbench.engine.numerics import check_finite_weights, device, seeded

__all__ = ["train"]


def train(
    engine: Engine,
    module: torch.nn.Module,
    like: Checkpoint,
    rows: Examples,
    *,
    recipe: Recipe,
    seeds: SeedStream,
    penalty: Callable[[torch.nn.Module], torch.Tensor] | None = None,
    objective: Callable[[torch.nn.Module, Any, Sequence[Any]], torch.Tensor] | None = None,
) -> None:
    """Trains a module in place; the last step's weights are kept.

    AdamW (Loshchilov and Hutter 2019) with the learning rate rising linearly over the
    recipe's share of the steps and then falling linearly to zero; no decay on vectors (biases,
    layer norms). The order of the rows and the dropout come from `seeds` alone, so that a clean
    and a poisoned twin share both.

    Raises:
        InputError: There are no rows.
        NonFiniteError: The loss or the weights became NaN or infinite.
    """
    if not len(rows):
        raise InputError("there are no rows to train on", expected="at least one row")
    module.to(device()).train()
    # One pass over the weights instead of a dozen: a tenth of the time of the plain optimizer.
    optimizer = torch.optim.AdamW(_groups(module, recipe), lr=recipe.learning_rate, fused=True)
    steps = recipe.epochs * -(-len(rows) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _factor(step, steps, recipe.warmup)
    )
    with seeded(seeds.child("dropout").seed()):
        for epoch in range(recipe.epochs):
            order = seeds.child("order", epoch)
            for inputs, labels in engine.batches(like, rows, recipe.batch_size, order):
                loss = _losses(engine, module, inputs, labels, objective).mean()
                if penalty is not None:
                    loss = loss + penalty(module)
                engine.step(optimizer, loss, len(labels), recipe.max_grad_norm)
                schedule.step()
    module.eval()
    check_finite_weights(module, "after training")


def _losses(
    engine: Engine,
    module: torch.nn.Module,
    inputs: Any,
    labels: Sequence[Any],
    objective: Callable[[torch.nn.Module, Any, Sequence[Any]], torch.Tensor] | None,
) -> torch.Tensor:
    """The loss of each row of a batch: the family's, or the one that was asked for."""
    if objective is None:
        return engine.loss(module, inputs, labels)
    losses = engine.forward(lambda: objective(module, inputs, labels), len(labels))
    if losses.shape != (len(labels),):
        raise InputError(
            "an objective must give the loss of each row",
            where="training",
            found=f"a tensor of shape {list(losses.shape)}",
            expected=f"shape [{len(labels)}]",
            next="tell the plugin's authors",
        )
    return losses


def _groups(module: torch.nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {
            "params": [parameter for parameter in trained if parameter.ndim > 1],
            "weight_decay": recipe.weight_decay,
        },
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0},
    ]


def _factor(step: int, steps: int, warmup: float) -> float:
    rising = max(1, round(warmup * steps)) if warmup else 0
    if step < rising:
        return (step + 1) / rising
    return max(0.0, (steps - step) / max(1, steps - rising))
