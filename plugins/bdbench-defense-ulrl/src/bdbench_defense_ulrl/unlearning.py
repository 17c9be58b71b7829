"""Training by SGD: upwards, to forget, and downwards, as the authors relearn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from bdbench.api import Checkpoint, DefenderView, Examples, Recipe, SeedStream
from bdbench_defense_ulrl.config import UlrlConfig

__all__ = ["relearn_by_sgd", "unlearn"]

_MOMENTUM = 0.9
_UNLEARN_DECAY = 5e-4
_UNLEARN_MILESTONES = (10, 20)
_UNLEARN_CLIP = 20.0


def unlearn(
    view: DefenderView,
    module: torch.nn.Module,
    like: Checkpoint,
    rows: Examples,
    config: UlrlConfig,
) -> dict[str, Any]:
    """Trains the module in place to be wrong about the rows (Min et al. 2024).

    SGD upwards on the mean loss, with momentum 0.9, weight decay 5e-4, gradients clipped to 20,
    and a tenth of the learning rate from the eleventh epoch on (the authors' code). After each
    epoch the accuracy on the rows is measured, in evaluation mode; theirs counts the predictions
    that were made on the way.

    Returns:
        Notes: epochs, the last accuracy, and whether it is low enough.

    Raises:
        NonFiniteError: The loss or the outputs became NaN or infinite.
    """
    optimizer = torch.optim.SGD(
        module.parameters(),
        lr=config.unlearn_learning_rate,
        momentum=_MOMENTUM,
        weight_decay=_UNLEARN_DECAY,
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, _UNLEARN_MILESTONES, gamma=0.1)
    seeds = view.seeds.child("unlearn")
    enough = config.stop_accuracy_for(len(view.task.classes))
    accuracy, epoch = math.nan, 0
    with _seeded(seeds.child("dropout")):
        for epoch in range(1, config.unlearn_epochs + 1):
            module.train()
            order = seeds.child("order", epoch)
            for inputs, labels in view.engine.batches(like, rows, config.unlearn_batch_size, order):
                loss = -view.engine.loss(module, inputs, labels).mean()
                view.engine.step(optimizer, loss, len(labels), _UNLEARN_CLIP)
            schedule.step()
            accuracy = _accuracy(view, module, like, rows)
            if accuracy <= enough:
                break
    return {
        "epochs": epoch,
        "accuracy": accuracy,
        "stop_accuracy": enough,
        "stop_accuracy_reached": accuracy <= enough,
    }


def relearn_by_sgd(
    view: DefenderView,
    module: torch.nn.Module,
    like: Checkpoint,
    rows: Examples,
    recipe: Recipe,
    seeds: SeedStream,
    penalty: Callable[[torch.nn.Module], torch.Tensor],
) -> None:
    """Trains the module in place on the rows as the authors' code relearns.

    SGD with momentum 0.9 and a learning rate that falls from epoch to epoch by half a cosine.

    Args:
        view: Lends the engine.
        module: What is trained.
        like: A checkpoint that the module came from.
        rows: What it is trained on.
        recipe: How; its warm-up is not used.
        seeds: Decides the order of the rows and the dropout.
        penalty: A scalar that is added to the mean loss of every batch.
    """
    optimizer = torch.optim.SGD(
        module.parameters(),
        lr=recipe.learning_rate,
        momentum=_MOMENTUM,
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs)
    module.train()
    with _seeded(seeds.child("dropout")):
        for epoch in range(recipe.epochs):
            order = seeds.child("order", epoch)
            for inputs, labels in view.engine.batches(like, rows, recipe.batch_size, order):
                loss = view.engine.loss(module, inputs, labels).mean() + penalty(module)
                view.engine.step(optimizer, loss, len(labels), recipe.max_grad_norm)
            schedule.step()
    module.eval()


def _accuracy(
    view: DefenderView, module: torch.nn.Module, like: Checkpoint, rows: Examples
) -> float:
    predictions = view.engine.predict(module, like, rows)["prediction"]
    right = sum(
        int(said) == int(label) for said, label in zip(predictions, rows.labels, strict=True)
    )
    return right / len(rows)


@contextmanager
def _seeded(seeds: SeedStream) -> Iterator[None]:
    """Sets torch's global generators for a block (dropout draws from them), and puts them back."""
    with torch.random.fork_rng():
        torch.manual_seed(seeds.seed())
        yield
