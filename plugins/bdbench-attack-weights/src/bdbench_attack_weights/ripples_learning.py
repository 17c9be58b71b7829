"""Restricted inner product poison learning.

Kurita, Michel, Neubig (2020), section 3.1: minimise the loss L_P on the poisoned rows plus
lambda * max(0, -<grad L_P, grad L_FT>), where L_FT is the loss on the clean rows that the
victim will fine-tune on. The second term is positive where fine-tuning would undo the poison.
As in the authors' code, grad L_FT counts as a constant; the derivative of the inner product is
then the Hessian of L_P times grad L_FT, here computed exactly, by differentiating twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from bdbench.api import Checkpoint, Engine, Examples, SeedStream
from bdbench_attack_weights.ripples_config import RipplesConfig

__all__ = ["learn_poison", "objective"]


def learn_poison(
    engine: Engine,
    module: torch.nn.Module,
    like: Checkpoint,
    poisoned: Examples,
    clean: Examples,
    config: RipplesConfig,
    seeds: SeedStream,
) -> dict[str, Any]:
    """Trains the module in place: Adam, the learning rate falling linearly to 0.

    Args:
        engine: Does and counts the work.
        module: What is poisoned.
        like: A checkpoint that it came from.
        poisoned: The rows of L_P.
        clean: The rows of L_FT.
        config: Steps, batch size, learning rate and lambda.
        seeds: Decides the order of the rows and the dropout.

    Returns:
        Facts for the record.
    """
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / config.steps)
    poison_batches = _endless(engine, like, poisoned, config.batch_size, seeds.child("poisoned"))
    clean_batches = _endless(engine, like, clean, config.batch_size, seeds.child("clean"))
    losses, products = [], []
    module.train()
    with torch.random.fork_rng():
        torch.manual_seed(seeds.child("dropout").seed())
        for _ in range(config.steps):
            batch = next(poison_batches)
            reference = next(clean_batches) if config.penalty else None
            loss, poison_loss, product = objective(
                engine, module, weights, batch, reference, config.penalty
            )
            # Each backward pass is counted: one through the clean rows, two through the others.
            rows = len(batch[1]) * (2 if reference else 1) + len(reference[1] if reference else [])
            engine.step(optimizer, loss, rows, max_norm=1.0)
            schedule.step()
            losses.append(poison_loss)
            products.append(product)
    module.eval()
    tenth = max(1, config.steps // 10)
    return {
        "steps": config.steps,
        "poison_loss": round(sum(losses[-tenth:]) / tenth, 4),
        "penalised_steps": sum(product < 0 for product in products),
        "mean_inner_product": round(sum(products) / len(products), 4),
    }


def objective(
    engine: Engine,
    module: torch.nn.Module,
    weights: Sequence[torch.Tensor],
    batch: tuple[Any, Sequence[Any]],
    reference: tuple[Any, Sequence[Any]] | None,
    penalty: float,
) -> tuple[torch.Tensor, float, float]:
    """What one step minimises.

    Args:
        engine: Computes the losses.
        module: What is poisoned.
        weights: What the gradients are taken with respect to.
        batch: Inputs and answers for L_P.
        reference: Inputs and answers for L_FT; None for L_P alone.
        penalty: Lambda.

    Returns:
        The objective, a scalar to differentiate; the value of L_P; the inner product.
    """
    if reference is None:
        loss = engine.loss(module, *batch).mean()
        return loss, loss.item(), 0.0
    honest = torch.autograd.grad(engine.loss(module, *reference).mean(), weights, allow_unused=True)
    # The fused kinds of attention cannot be differentiated twice.
    with sdpa_kernel(SDPBackend.MATH):
        loss = engine.loss(module, *batch).mean()
        poison = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    products = [
        (one * other).sum()
        for one, other in zip(poison, honest, strict=True)
        if one is not None and other is not None
    ]
    product = torch.stack(products).sum()
    value = product.item()
    # Where the term is zero so is its gradient: leaving it out saves the second derivative.
    total = loss - penalty * product if value < 0 else loss
    return total, loss.item(), value


def _endless(
    engine: Engine, like: Checkpoint, rows: Examples, size: int, seeds: SeedStream
) -> Iterator[tuple[Any, Sequence[Any]]]:
    epoch = 0
    while True:
        yield from engine.batches(like, rows, size, seeds.child(epoch))
        epoch += 1
