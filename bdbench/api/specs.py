"""Specs: what a plugin declares about its components, as plain data.

A spec names its class as ``"package.module:Class"``, so that declaring it imports nothing
heavy. What a spec says is checked against the class when the class is first used.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from bdbench.api.needs import Needs
from bdbench.api.version import API_VERSION

__all__ = [
    "AttackSpec",
    "ComponentSpec",
    "DatasetSpec",
    "DefenseSpec",
    "DefenseStage",
    "Direction",
    "ExecutorSpec",
    "MetricSpec",
    "MetricValue",
    "ModelSpec",
    "ReporterSpec",
    "Subject",
    "SuiteSpec",
    "Surface",
]

ANY_TASK = frozenset({"*"})
NO_NEEDS = Needs()


class Surface(enum.StrEnum):
    """What an attacker touches."""

    DATA = "data"
    PRETRAINED = "pretrained"
    TRAINING = "training"
    WEIGHTS = "weights"


class DefenseStage(enum.StrEnum):
    """When a defense acts."""

    FILTER = "filter"
    REPAIR = "repair"
    SCREEN = "screen"


class Subject(enum.StrEnum):
    """What a metric measures."""

    CELL = "cell"
    ATTACK = "attack"


class Direction(enum.StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """What every component says of itself.

    Attributes:
        name: Short, in kebab-case. The full name is ``<distribution>/<name>``.
        target: ``"package.module:Class"``, imported when the component is first used.
        config: ``"package.module:Model"``, a `ComponentConfig` in a module that imports
            nothing heavy; empty if there is nothing to set.
        summary: One line for `bdbench list`.
        revision: Raise it whenever results can change; it is part of every identity.
        api: The `API_VERSION` that the component was written for.
        citation: BibTeX, or empty.
        tasks: The names of the tasks that it works for; ``{"*"}`` for all.
    """

    kind: ClassVar[str]

    name: str
    target: str
    summary: str
    config: str = ""
    revision: int = 1
    api: str = API_VERSION
    citation: str = ""
    tasks: frozenset[str] = ANY_TASK

    def works_for(self, task: str) -> bool:
        """Whether the component takes part in a task."""
        return "*" in self.tasks or task in self.tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackSpec(ComponentSpec):
    """An attack: a class that derives from `Attack` and implements its surfaces' protocols.

    Attributes:
        surfaces: What it touches; nothing for the control.
        uses_model: It needs the pre-trained model to poison the data (`AttackerView.engine`).
        probes_victim: It implements `ProbesVictim`: its trigger depends on the victim.
        makes_variants: It implements `MakesVariants`.
    """

    kind: ClassVar[str] = "attack"
    surfaces: frozenset[Surface] = frozenset()
    uses_model: bool = False
    probes_victim: bool = False
    makes_variants: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenseSpec(ComponentSpec):
    """A defense: a class that implements the protocol of each of its stages."""

    kind: ClassVar[str] = "defense"
    stages: frozenset[DefenseStage] = frozenset()
    needs: Needs = NO_NEEDS


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue:
    """One number that a metric gives.

    Attributes:
        name: As it stands in records and column heads, snake_case.
        summary: What it is, with its source.
        direction: Which way is better.
        bounds: The least and the greatest value that is possible; None where unbounded.
        unit: ``share`` (0 to 1), ``seconds``, ...
        per_class: There is one number for each class, named ``<name>.<class number>``.
    """

    name: str
    summary: str
    direction: Direction
    bounds: tuple[float | None, float | None] = (None, None)
    unit: str = "share"
    per_class: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec(ComponentSpec):
    """A metric: gives the values listed here.

    Attributes:
        values: What it gives.
        subject: ``CELL`` for a class that derives from `Metric`; ``ATTACK`` for one that
            derives from `AttackMetric`, which is measured once for all defenses of an attack.
    """

    kind: ClassVar[str] = "metric"
    values: tuple[MetricValue, ...] = ()
    subject: Subject = Subject.CELL


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec(ComponentSpec):
    """A family of victims: a class that derives from `Model`."""

    kind: ClassVar[str] = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec(ComponentSpec):
    """A source of data: a class that derives from `Dataset`.

    Attributes:
        task: The task, where it is known before the data are read; lets the plan say early
            that a component does not fit.
    """

    kind: ClassVar[str] = "dataset"
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReporterSpec(ComponentSpec):
    """A way to write a comparison down: a class that derives from `Reporter`."""

    kind: ClassVar[str] = "reporter"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSpec(ComponentSpec):
    """A way to run stages: a class that derives from `Executor`."""

    kind: ClassVar[str] = "executor"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSpec(ComponentSpec):
    """A suite that comes with a plugin; `target` is ``"package:file.yaml"``."""

    kind: ClassVar[str] = "suite"
