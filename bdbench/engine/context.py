"""What a stage works with: its inputs from the store, its components built again."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from bdbench.api import (
    Checkpoint,
    ComponentConfig,
    Examples,
    InputError,
    Model,
    Recipe,
    SeedStream,
    Task,
)
from bdbench.engine.box import Box, Boxes
from bdbench.engine.meter import Meter
from bdbench.engine.rows import read_examples
from bdbench.engine.torch_engine import TorchEngine
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.host.digest import code_digest
from bdbench.store.objects import Store
from bdbench.suite.identity import component_identity

__all__ = ["Setting", "Stage", "StageResult", "balanced_order", "environment"]

SHOWN = ("model", "recipe", "precision")
"""Settings of a stage that every component may know."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage leaves besides its files.

    Attributes:
        notes: Facts for the record.
        values: Numbers and text that other stages or the record need.
    """

    notes: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


class Setting:
    """What both sides of a component's call work with: the host's and the component's.

    Args:
        settings: What the plan says, as plain data.
        host: Brings the components.
        scratch: An empty folder for what is not kept.

    Attributes:
        meter: Counts what is used.
    """

    def __init__(self, settings: Mapping[str, Any], host: Host, scratch: Path) -> None:
        self.settings = settings
        self.host = host
        self.scratch = scratch
        self.meter = Meter()

    @property
    def task(self) -> Task:
        """What the victim is for."""
        raise NotImplementedError

    @property
    def seeds(self) -> SeedStream:
        """The stream of randomness."""
        root, *path = self.settings["seeds"]
        return SeedStream(root, tuple(path))

    def configured(self, part: Mapping[str, Any]) -> ComponentConfig:
        """A component's validated settings, from what the plan says of it."""
        component = self.host.find(part["kind"], part["component"])
        return configure(self.host, component, part["config"], where=part["label"])

    def build(self, part: Mapping[str, Any]) -> Any:
        """A component, from what the plan says of it."""
        component = self.host.find(part["kind"], part["component"])
        return self.host.load_class(component)(self.configured(part))

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
    def engine(self) -> TorchEngine:
        """Torch work, counted."""
        return TorchEngine(self.model, self.settings["precision"], self.meter)


class Stage(Setting):
    """A stage at work, on the host's side: from inputs in the store to files in a folder.

    Args:
        document: What the plan says of it.
        folder: Where its files go.
        scratch: An empty folder for what is not kept.
        store: Where its inputs are.
        host: Brings its components.
        boxes: Starts the processes in which attacks, defenses and metrics act.

    Attributes:
        boxed: Whether any component acted.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        folder: Path,
        scratch: Path,
        store: Store,
        host: Host,
        boxes: Boxes,
    ) -> None:
        super().__init__(document["settings"], host, scratch)
        self.kind: str = document["kind"]
        self.inputs: Mapping[str, Any] = document["inputs"]
        self.folder = folder
        self.store = store
        self.boxed = False
        self._boxes = boxes

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

    def box(self, part: Mapping[str, Any], **setting: Any) -> Box:
        """A box for a component to act in.

        Args:
            part: What the plan says of it.
            **setting: What its side works with besides its own settings and the task.
        """
        self._check_unchanged(part)
        self.boxed = True
        task = asdict(self.task)
        shown = {name: self.settings[name] for name in SHOWN if name in self.settings}
        config = self.configured(part)
        readable = list(config.paths().values())
        if config.hub_models():
            readable += [_repository(name, part["label"]) for name in config.hub_models().values()]
        whole = {"task": task, "part": part, "seeds": [0], **shown, **setting}
        # Beside what the store is about to publish: links need the same file system.
        return Box(self._boxes, self.store.temporary, whole, readable, self.meter)

    def build(self, part: Mapping[str, Any]) -> Any:
        """A component, from what the plan says of it, if it is still that.

        Raises:
            InputError: It was changed meanwhile.
        """
        self._check_unchanged(part)
        return super().build(part)

    def _check_unchanged(self, part: Mapping[str, Any]) -> None:
        """The stage's key was taken from the component that the plan found, hours ago perhaps."""
        if "identity" not in part:
            return  # of no plan: nothing is kept under its name
        component = self.host.find(part["kind"], part["component"])
        identity = component_identity(
            component.full_name,
            component.spec.revision,
            code_digest(component),
            self.configured(part),
            where=part["label"],
        )
        if identity != part["identity"]:
            raise InputError(
                "a component was changed after the run had been planned",
                where=part["label"],
                found=f"other code of {component.full_name}, or other files that it is set to read",
                expected="what the run began with: results are kept under its name",
                next="run the same command again: it plans anew, and computes what is missing",
            )

    @property
    def isolation(self) -> str | None:
        """How well components were kept apart; None where none acted."""
        return self._boxes.isolation if self.boxed else None

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


def _repository(name: str, label: str) -> Path:
    """The folder of a repository in the Hub's cache, which its snapshots link into."""
    # Brings in the Hub's client, which few runs need.
    from bdbench.toolkit.hub_models import hub_folder  # noqa: PLC0415

    return hub_folder(name, where=label).parents[1]


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


def _arithmetic() -> str:
    """What torch computes with on the processor: bf16 differs in the last bits between them."""
    import torch  # noqa: PLC0415 -- only where a stage runs

    # Older versions do not tell.
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    units = [name for name in ("avx512_bf16", "amx_bf16") if can.get(name)]
    return " ".join([torch.backends.cpu.get_cpu_capability(), *units])


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
        "processor": _arithmetic(),
        "threads": str(torch.get_num_threads()),
    }
