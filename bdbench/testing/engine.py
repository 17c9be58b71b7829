"""The host's engine in the test's own process, which remembers what was asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from unittest.mock import patch
from weakref import WeakSet

import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from bdbench.api import Checkpoint, Examples, Model, Outputs, Recipe, SeedStream
from bdbench.engine.batching import training_batches
from bdbench.engine.meter import Meter
from bdbench.engine.torch_engine import TorchEngine

__all__ = ["FineTuning", "LocalEngine", "Step", "Uncounted"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an optimizer.

    Attributes:
        optimizer: Its class.
        loss: The loss that was stepped on.
        rows: The rows that it is the loss of.
        rate: The learning rate of the first group of weights, if the optimizer has one.
        max_norm: What gradients were clipped to.
    """

    optimizer: type[torch.optim.Optimizer]
    loss: float
    rows: int
    rate: float | None
    max_norm: float


@dataclass(frozen=True, slots=True)
class FineTuning:
    """One call of `LocalEngine.fine_tune`.

    Attributes:
        rows: What was trained on.
        recipe: How.
        seeds: Which order and dropout.
        before: The module's state before it.
    """

    rows: Examples
    recipe: Recipe
    seeds: SeedStream
    before: Mapping[str, torch.Tensor]


@dataclass(slots=True)
class Uncounted:
    """Work on loaded models that went past the engine, so that nobody counted it.

    Attributes:
        forwards: Forward passes.
        steps: Steps of an optimizer.
    """

    forwards: int = 0
    steps: int = 0


class LocalEngine(TorchEngine):
    """What the host lends to components, for the tests of plugins.

    It is the host's own engine, with its batches, its training loop and its refusal of what is
    not finite; it always runs on the CPU, and remembers what it was asked for.

    Args:
        model: The model family.
        precision: ``fp32`` or ``bf16``.
        tunes: Whether `fine_tune` changes weights: without, a test sees a method alone.

    Attributes:
        seen: The ids of all rows that it was given.
        steps: Every `step`, its own training's among them.
        fine_tunings: Every `fine_tune`.
    """

    def __init__(self, model: Model, *, precision: str = "fp32", tunes: bool = True) -> None:
        super().__init__(model, precision, Meter())
        self.tunes = tunes
        self.seen: set[int] = set()
        self.steps: list[Step] = []
        self.fine_tunings: list[FineTuning] = []
        self._loaded: WeakSet[torch.nn.Module] = WeakSet()
        self._counting = False

    @property
    def forward_rows(self) -> int:
        """How many rows went through a model."""
        return self.meter.forward_rows

    def load(self, checkpoint: Checkpoint) -> torch.nn.Module:
        """A fresh copy of the model, on the CPU."""
        module = self.model.load(checkpoint).eval()
        for part in module.modules():
            self._loaded.add(part)
        return module

    def predict(self, module: torch.nn.Module, like: Checkpoint, rows: Examples) -> Outputs:
        """The outputs for every row, in the order of the rows; refuses non-finite ones."""
        self.seen |= set(rows.ids)
        with self._counted(), _on_cpu():
            return super().predict(module, like, rows)

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
        """Trains the module in place by the host's own loop, unless `tunes` is off."""
        before = {name: value.clone() for name, value in module.state_dict().items()}
        self.fine_tunings.append(FineTuning(rows, recipe, seeds, before))
        self.seen |= set(rows.ids)
        if self.tunes:
            with _on_cpu():
                super().fine_tune(module, like, rows, recipe, seeds, penalty, objective)

    def batches(
        self, like: Checkpoint, rows: Examples, batch_size: int, seeds: SeedStream
    ) -> Iterator[tuple[Any, Sequence[Any]]]:
        """One shuffled pass: (collated inputs, answers), for own loops."""
        self.seen |= set(rows.ids)
        items = self.model.encode(rows, like)
        sizes = [self.model.size(item) for item in items]
        for batch in training_batches(sizes, batch_size, seeds.random()):
            inputs = self.model.collate([items[row] for row in batch])
            yield inputs, [rows.labels[row] for row in batch]

    def forward(self, call: Callable[[], Result], rows: int) -> Result:
        """A forward pass of one's own, in the suite's arithmetic, counted as so many rows."""
        with self._counted(), _on_cpu():
            return super().forward(call, rows)

    def step(
        self, optimizer: torch.optim.Optimizer, loss: torch.Tensor, rows: int, max_norm: float
    ) -> None:
        """Backward through a scalar loss of `rows` rows, gradients clipped, one step."""
        rate = optimizer.param_groups[0].get("lr")
        with self._counted():
            super().step(optimizer, loss, rows, max_norm)
        self.steps.append(Step(type(optimizer), float(loss.item()), rows, rate, max_norm))

    @contextmanager
    def watched(self) -> Iterator[Uncounted]:
        """Notes what is done with loaded models without this engine, in a block."""
        found = Uncounted()

        def on_forward(module: torch.nn.Module, _inputs: Any) -> None:
            if not self._counting and module in self._loaded:
                found.forwards += 1

        def on_step(*_: Any) -> None:
            if not self._counting:
                found.steps += 1

        handles = (
            register_module_forward_pre_hook(on_forward),
            register_optimizer_step_pre_hook(on_step),
        )
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        before, self._counting = self._counting, True
        try:
            yield
        finally:
            self._counting = before


@contextmanager
def _on_cpu() -> Iterator[None]:
    """Lets the host's own code, which takes a GPU where there is one, see none."""
    with patch.object(torch.cuda, "is_available", return_value=False):
        yield
