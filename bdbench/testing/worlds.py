"""Tiny worlds: for a task, synthetic rows, a random small model, a victim and references.

Everything is made on the spot, offline, on the CPU, and comes out the same each time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bdbench.api import Checkpoint, InputError, Model, Recipe, SeedStream, Splits, Task
from bdbench.testing.rows import ROWS, make_splits

if TYPE_CHECKING:
    from bdbench.testing.engine import LocalEngine

__all__ = ["World", "tiny_world"]

RECIPE = Recipe(epochs=6, batch_size=16, learning_rate=5e-3)
"""How models of tiny worlds are trained: enough to leave the guess of a coin behind."""


class World:
    """All that an attack, a defense or a metric meets, in small.

    Models are made when they are first asked for: rows alone need no torch.

    Args:
        splits: The task and its rows.
        model: Makes the model family.
        folder: An empty folder for the models.
        recipe: How they are trained.

    Attributes:
        splits: The rows; `train`, `test` and `clean` share none.
        recipe: How models are trained.
        folder: Where the models are.
    """

    def __init__(
        self,
        splits: Splits,
        model: Callable[[], Model],
        folder: Path,
        recipe: Recipe = RECIPE,
    ) -> None:
        self.splits = splits
        self.recipe = recipe
        self.folder = folder
        self._model = model

    @property
    def task(self) -> Task:
        """What the victim is for."""
        return self.splits.task

    @cached_property
    def model(self) -> Model:
        """The model family."""
        return self._model()

    @cached_property
    def start(self) -> Checkpoint:
        """What training starts from: a "pre-trained" body with a fresh head."""
        folder = self.folder / "start"
        folder.mkdir()
        self.model.prepare(self.task, folder, SeedStream(0, ("bdbench.testing", "start")))
        return Checkpoint(folder)

    @cached_property
    def victim(self) -> Checkpoint:
        """A model that was trained on the clean rows."""
        return self._trained("victim")

    @cached_property
    def references(self) -> tuple[Checkpoint, ...]:
        """Two more, trained on the same rows in another order."""
        return self._trained("reference-0"), self._trained("reference-1")

    def engine(self, *, tunes: bool = True) -> LocalEngine:
        """A fresh engine for this world's models."""
        from bdbench.testing.engine import LocalEngine  # noqa: PLC0415 -- imports torch

        return LocalEngine(self.model, tunes=tunes)

    def _trained(self, name: str) -> Checkpoint:
        engine = self.engine()
        module = engine.load(self.start)
        seeds = SeedStream(0, ("bdbench.testing", name))
        engine.fine_tune(module, self.start, self.splits.train, self.recipe, seeds)
        return engine.save(module, self.start, self.folder / name)


def _encoder() -> Model:
    from bdbench.testing.encoder import TinyEncoder  # noqa: PLC0415 -- imports transformers

    return TinyEncoder()


def _perceptron() -> Model:
    from bdbench.testing.perceptron import TinyPerceptron  # noqa: PLC0415 -- imports torch

    return TinyPerceptron()


MODELS: Mapping[str, Callable[[], Model]] = {
    "text-classification": _encoder,
    "text-pair-classification": _encoder,
    "vector-classification": _perceptron,
}


def tiny_world(task: str = "text-classification", folder: Path | None = None) -> World:
    """A tiny world.

    Args:
        task: ``text-classification``, ``text-pair-classification`` or
            ``vector-classification``.
        folder: An empty folder for its models; a temporary one if not given.

    Raises:
        InputError: There is no world for this task.
    """
    if task not in ROWS:
        close = get_close_matches(task, ROWS, n=1)
        raise InputError(
            "there is no tiny world for this task",
            where="tiny_world",
            found=repr(task),
            expected=f"one of {', '.join(ROWS)}",
            next=f"write {close[0]!r}" if close else "make a World of your own rows and model",
        )
    if folder is None:
        folder = Path(_kept()) / task
        folder.mkdir()
    return World(make_splits(task), MODELS[task], folder)


def _kept() -> str:
    """A folder that is removed when the process ends."""
    holder = tempfile.TemporaryDirectory(prefix="bdbench-world-")
    _holders.append(holder)
    return holder.name


_holders: list[tempfile.TemporaryDirectory[str]] = []


@cache
def shared_world(task: str) -> World:
    """The one world of this process that checks look at and never change."""
    return tiny_world(task)
