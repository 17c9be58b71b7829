"""One time that a component acts: what it is handed, copied for it, and what became of that."""

from __future__ import annotations

import copy
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bdbench.api import Checkpoint, SeedStream
from bdbench.testing.traces import fingerprint
from bdbench.testing.worlds import World

if TYPE_CHECKING:
    from bdbench.testing.engine import LocalEngine

__all__ = ["Scene", "shaken"]

Thing = TypeVar("Thing")


class Scene:
    """What one act of a component takes place in.

    Nothing in it is shared with another scene of the same world, so that a component that
    changes what it is given spoils nothing for the next.

    Args:
        world: What it is a copy of.
        folder: An empty folder.
        seeds: The component's randomness.

    Attributes:
        world: What it is a copy of.
        seeds: The component's randomness.
        folder: Where checkpoints and workspaces are.
    """

    def __init__(self, world: World, folder: Path, seeds: SeedStream) -> None:
        self.world = world
        self.folder = folder
        self.seeds = seeds
        self._engine: LocalEngine | None = None
        self._handed: dict[str, tuple[Any, str]] = {}
        self._folders = 0

    @property
    def engine(self) -> LocalEngine:
        """The engine of this scene: it counts for all that happens here."""
        if self._engine is None:
            self._engine = self.world.engine()
        return self._engine

    def hand(self, name: str, thing: Thing) -> Thing:
        """A copy of something, which is looked at again afterwards."""
        return self.watch(name, copy.deepcopy(thing))

    def watch(self, name: str, thing: Thing) -> Thing:
        """The thing itself, which is looked at again afterwards."""
        self._handed[name] = (thing, fingerprint(thing))
        return thing

    def hand_model(self, name: str, checkpoint: Checkpoint) -> Checkpoint:
        """A copy of a model, likewise."""
        mine = Checkpoint(self._folder())
        shutil.copytree(checkpoint.folder, mine.folder)
        self._handed[name] = (mine, fingerprint(mine))
        return mine

    def workspace(self) -> Path:
        """An empty folder to write to."""
        folder = self._folder()
        folder.mkdir()
        return folder

    def changed(self) -> list[str]:
        """The names of what was handed over and is not what it was."""
        return [
            name for name, (thing, before) in self._handed.items() if fingerprint(thing) != before
        ]

    def _folder(self) -> Path:
        self._folders += 1
        return self.folder / f"{self._folders}"


@contextmanager
def shaken(number: int) -> Iterator[list[str]]:
    """Starts the global generators from a number, and puts them back at the end.

    Yields:
        A list that names, at the end, those that were drawn from or seeded in between.
    """
    found: list[str] = []
    generators = _generators()
    before = {name: read() for name, (read, _, _) in generators.items()}
    started = {}
    for name, (read, _, start) in generators.items():
        start(number)
        started[name] = read()
    try:
        yield found
    finally:
        for name, (read, write, _) in generators.items():
            if not _same(started[name], read()):
                found.append(name)
            write(before[name])


def _generators() -> dict[str, tuple[Any, Any, Any]]:
    """How to read, write and start the global generators of what is imported."""
    found: dict[str, tuple[Any, Any, Any]] = {
        "random": (random.getstate, random.setstate, random.seed)
    }
    if "numpy" in sys.modules:
        numpy = sys.modules["numpy"].random
        found["numpy.random"] = (numpy.get_state, numpy.set_state, numpy.seed)
    if "torch" in sys.modules:
        cpu = sys.modules["torch"].default_generator
        found["torch"] = (cpu.get_state, cpu.set_state, cpu.manual_seed)
    return found


def _same(one: Any, other: Any) -> bool:
    return fingerprint(one) == fingerprint(other)
