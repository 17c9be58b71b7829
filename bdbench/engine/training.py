"""The training loop: one for victims, reference models and every defense that fine-tunes."""

from __future__ import annotations

from typing import Any

import torch

from bdbench.api import Checkpoint, Examples, InputError, Model, NonFiniteError, Recipe, SeedStream
from bdbench.engine.batching import training_batches
from bdbench.engine.inference import to_device
from bdbench.engine.meter import Meter
from bdbench.engine.numerics import autocast, check_finite_weights, device, seeded

__all__ = ["train"]


def train(
    model: Model,
    module: torch.nn.Module,
    like: Checkpoint,
    rows: Examples,
    *,
    recipe: Recipe,
    seeds: SeedStream,
    precision: str,
    meter: Meter,
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
    items = model.encode(rows, like)
    sizes = [model.size(item) for item in items]
    epochs = [
        training_batches(sizes, recipe.batch_size, seeds.child("order", epoch).random())
        for epoch in range(recipe.epochs)
    ]
    steps = sum(len(batches) for batches in epochs)
    optimizer = torch.optim.AdamW(_groups(module, recipe), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _factor(step, steps, recipe.warmup)
    )
    module.to(device()).train()
    with seeded(seeds.child("dropout").seed()):
        for batch in (batch for batches in epochs for batch in batches):
            inputs = to_device(model.collate([items[row] for row in batch]))
            with autocast(precision):
                raw = model.forward(module, inputs)
            loss = model.loss(raw, [rows.labels[row] for row in batch]).mean()
            _check_loss(loss)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(module.parameters(), recipe.max_grad_norm)
            optimizer.step()
            schedule.step()
            meter.forward_rows += len(batch)
            meter.backward_rows += len(batch)
            meter.gradient_steps += 1
    module.eval()
    check_finite_weights(module, "after training")


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


def _check_loss(loss: torch.Tensor) -> None:
    if not torch.isfinite(loss):
        raise NonFiniteError(
            "the training loss is not finite",
            where="training",
            found=str(loss.item()),
            expected="a finite number",
            next="lower training.learning_rate, or set training.precision: fp32",
        )
