"""The torch work that the host lends to a component, bound to a cell's model family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from bdbench.api import (
    Checkpoint,
    Examples,
    Model,
    NonFiniteError,
    Outputs,
    Recipe,
    SeedStream,
)
from bdbench.engine.batching import training_batches
from bdbench.engine.inference import predict, to_device
from bdbench.engine.meter import Meter
from bdbench.engine.numerics import autocast, check_finite_weights, device
from bdbench.engine.training import train

__all__ = ["TorchEngine"]

Result = TypeVar("Result")


class TorchEngine:
    """Implements `bdbench.api.Engine`.

    Args:
        model: The cell's model family.
        precision: The suite's arithmetic.
        meter: Counts what is used.
    """

    def __init__(self, model: Model, precision: str, meter: Meter) -> None:
        self.model = model
        self.precision = precision
        self.meter = meter

    def load(self, checkpoint: Checkpoint) -> torch.nn.Module:
        """A fresh copy of the model, on the device where it will run."""
        return self.model.load(checkpoint).to(device()).eval()

    def save(self, module: torch.nn.Module, like: Checkpoint, folder: Path) -> Checkpoint:
        """Writes a model to a new folder; refuses non-finite weights."""
        check_finite_weights(module, folder.name)
        folder.mkdir(parents=True)
        self.model.save(module.to("cpu"), like, folder)
        return Checkpoint(folder)

    def predict(self, module: torch.nn.Module, like: Checkpoint, rows: Examples) -> Outputs:
        """The outputs for every row, in the order of the rows; refuses non-finite ones."""
        return self.answers(module, self.model.encode(rows, like))

    def answers(self, module: torch.nn.Module, items: Sequence[Any]) -> Outputs:
        """The outputs for rows that are encoded already."""
        return predict(self.model, module, items, precision=self.precision, meter=self.meter)

    def fine_tune(
        self,
        module: torch.nn.Module,
        like: Checkpoint,
        rows: Examples,
        recipe: Recipe,
        seeds: SeedStream,
        penalty: Callable[[torch.nn.Module], torch.Tensor] | None = None,
        objective: Callable[[torch.nn.Module, Any, Sequence[Any]], torch.Tensor] | None = None,
    ) -> None:
        """Trains the module in place on the rows, by the host's own loop."""
        train(
            self,
            module,
            like,
            rows,
            recipe=recipe,
            seeds=seeds,
            penalty=penalty,
            objective=objective,
        )

    def batches(
        self, like: Checkpoint, rows: Examples, batch_size: int, seeds: SeedStream
    ) -> Iterator[tuple[Any, Sequence[Any]]]:
        """One shuffled pass: (collated inputs where the model runs, answers), for own loops."""
        items = self.model.encode(rows, like)
        sizes = [self.model.size(item) for item in items]
        for batch in training_batches(sizes, batch_size, seeds.random()):
            inputs = to_device(self.model.collate([items[row] for row in batch]))
            yield inputs, [rows.labels[row] for row in batch]

    def loss(self, module: torch.nn.Module, inputs: Any, labels: Sequence[Any]) -> torch.Tensor:
        """The loss of each row of a batch, shape [n], in the suite's arithmetic."""
        raw = self.forward(lambda: self.model.forward(module, inputs), len(labels))
        return self.model.loss(raw, labels)

    def forward(self, call: Callable[[], Result], rows: int) -> Result:
        """A forward pass of one's own, in the suite's arithmetic, counted as so many rows."""
        self.meter.forward_rows += rows
        with autocast(self.precision):
            return call()

    def step(
        self, optimizer: torch.optim.Optimizer, loss: torch.Tensor, rows: int, max_norm: float
    ) -> None:
        """Backward through a scalar loss of `rows` rows, gradients clipped, one step."""
        if not torch.isfinite(loss):
            raise NonFiniteError(
                "the training loss is not finite",
                where="training",
                found=str(loss.item()),
                expected="a finite number",
                next="lower the learning rate, or set training.precision: fp32",
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, max_norm)
        optimizer.step()
        self.meter.backward_rows += rows
        self.meter.gradient_steps += 1
