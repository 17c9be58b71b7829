"""The torch work that the host lends to a component, bound to a cell's model family."""

from __future__ import annotations

from pathlib import Path

import torch  # noqa: TC002 -- loaded already by everything that uses this

from bdbench.api import Checkpoint, Examples, Model, Outputs, Recipe, SeedStream
from bdbench.engine.inference import predict
from bdbench.engine.meter import Meter
from bdbench.engine.numerics import check_finite_weights, device
from bdbench.engine.training import train

__all__ = ["TorchEngine"]


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
        check_finite_weights(module, str(folder.name))
        folder.mkdir(parents=True)
        self.model.save(module.to("cpu"), like, folder)
        return Checkpoint(folder)

    def predict(self, module: torch.nn.Module, like: Checkpoint, rows: Examples) -> Outputs:
        """The outputs for every row, in the order of the rows; refuses non-finite ones."""
        return predict(self.model, module, like, rows, precision=self.precision, meter=self.meter)

    def fine_tune(
        self,
        module: torch.nn.Module,
        like: Checkpoint,
        rows: Examples,
        recipe: Recipe,
        seeds: SeedStream,
    ) -> None:
        """Trains the module in place on the rows, by the host's own loop."""
        train(
            self.model,
            module,
            like,
            rows,
            recipe=recipe,
            seeds=seeds,
            precision=self.precision,
            meter=self.meter,
        )
