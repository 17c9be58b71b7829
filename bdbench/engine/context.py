"""What a stage works with: its inputs from the store, its components built again."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from bdbench.api import Checkpoint, Examples, InputError, Model, Recipe, SeedStream, Task
from bdbench.engine.meter import Meter
from bdbench.engine.rows import read_examples
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.store.objects import Store

__all__ = ["Stage", "StageResult", "balanced_order", "environment"]


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage leaves besides its files.

    Attributes:
        notes: Facts for the record.
        values: Numbers and text that other stages or the record need.
    """

    notes: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


class Stage:
    """A stage at work: a pure function from inputs in the store to files in a folder.

    Args:
        document: What the plan says of it.
        folder: Where its files go.
        scratch: An empty folder for what is not kept.
        store: Where its inputs are.
        host: Brings its components.

    Attributes:
        meter: Counts what it uses.
    """

    def __init__(
        self, document: Mapping[str, Any], *, folder: Path, scratch: Path, store: Store, host: Host
    ) -> None:
        self.kind: str = document["kind"]
        self.inputs: Mapping[str, Any] = document["inputs"]
        self.settings: Mapping[str, Any] = document["settings"]
        self.folder = folder
        self.scratch = scratch
        self.store = store
        self.host = host
        self.meter = Meter()

    @property
    def seeds(self) -> SeedStream:
        """The stage's stream of randomness."""
        root, *path = self.settings["seeds"]
        return SeedStream(root, tuple(path))

    def input(self, role: str) -> Path:
        """The folder of an input, verified."""
        return self.store.open(self.inputs[role]).folder

    def checkpoint(self, role: str) -> Checkpoint:
        """An input that is a model."""
        return Checkpoint(self.input(role))

    def checkpoints(self, role: str) -> list[Checkpoint]:
        """Inputs that are models."""
        return [Checkpoint(self.store.open(key).folder) for key in self.inputs.get(role, [])]

    @cached_property
    def task(self) -> Task:
        """The task, as the data stage found it."""
        data = json.loads((self.input("data") / "task.json").read_text("utf-8"))
        return Task(data["name"], tuple(data["fields"]), tuple(data["classes"]))

    def rows(self, role: str, name: str) -> Examples:
        """Rows of an input, for instance ``rows("data", "test")``."""
        return read_examples(self.input(role) / f"{name}.parquet")

    def training_rows(self) -> Examples:
        """What the victim is trained on: poisoned, or as in the data set for the control."""
        role = "poison" if "poison" in self.inputs else "data"
        return self.rows(role, "train")

    def build(self, part: Mapping[str, Any]) -> Any:
        """A component, from what the plan says of it."""
        component = self.host.find(part["kind"], part["component"])
        config = configure(self.host, component, part["config"], where=part["label"])
        return self.host.load_class(component)(config)

    @cached_property
    def model(self) -> Model:
        """The cell's model family."""
        component = self.host.find("model", self.settings["model"]["component"])
        if not component.spec.works_for(self.task.name):
            raise InputError(
                "the model does not work for this task",
                where=self.settings["model"]["label"],
                found=self.task.name,
                expected=", ".join(sorted(component.spec.tasks)),
                next="choose another model or data set",
            )
        model: Model = self.build(self.settings["model"])
        return model

    @property
    def recipe(self) -> Recipe:
        """How the host trains."""
        return Recipe.model_validate(self.settings["recipe"])

    @property
    def precision(self) -> str:
        """The arithmetic, ``bf16`` or ``fp32``."""
        precision: str = self.settings["precision"]
        return precision

    def clean_rows(self) -> Examples:
        """The defender's clean rows, the same for every defense of a seed.

        Raises:
            InputError: The pool has fewer rows than the suite grants.
        """
        count: int = self.settings["clean_rows"]
        pool = self.rows("data", "clean")
        if count > len(pool):
            raise InputError(
                "there are not enough clean rows",
                where="defender.clean_rows",
                found=f"{len(pool)} rows that are in neither the training nor the test split",
                expected=f"{count}",
                next=f"set defender.clean_rows to at most {len(pool)}",
            )
        seeds = SeedStream(self.seeds.root).child("clean rows")
        return pool.select(balanced_order(pool, seeds)[:count])


def balanced_order(rows: Examples, seeds: SeedStream) -> list[int]:
    """A random order that takes the labels in turn, so that a short beginning has all of them.

    Depends on nothing but the rows and the seed: a smaller share is part of a larger one.
    """
    order = list(range(len(rows)))
    seeds.random().shuffle(order)
    turns: dict[Any, int] = {}
    ranked = []
    for row in order:
        label = rows.labels[row]
        hashable = label if isinstance(label, int | str) else repr(label)
        turn = turns[hashable] = turns.get(hashable, 0) + 1
        ranked.append((turn, row))
    # A stable sort keeps the shuffled order within a turn.
    return [row for _, row in sorted(ranked, key=lambda item: item[0])]


def environment() -> dict[str, str]:
    """Versions and machine behind a result: recorded, not part of any identity."""
    import torch  # noqa: PLC0415 -- only where a stage runs

    names = ("bdbench", "torch", "transformers", "datasets", "numpy", "safetensors")
    versions = {name: metadata.version(name) for name in names}
    cuda = torch.cuda.is_available()
    return {
        **versions,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": str(torch.get_num_threads()),
    }
