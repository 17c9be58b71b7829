"""Specs: what a plugin declares about its components, as plain data.

A spec names its class as ``"package.module:Class"``, so that declaring it imports nothing
heavy. What a spec says is checked against the class when the class is first used.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bdbench.api.errors import InputError
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
    "Role",
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


class Role(enum.StrEnum):
    """What a value means for the comparison: ranks and gates read those that have a role.

    ``ATTACK`` is how far the attack succeeds, ``FLOOR`` how far it seems to on the control, and
    ``UTILITY`` what a defense must not cost.
    """

    ATTACK = "attack"
    FLOOR = "floor"
    UTILITY = "utility"


WAYS = {
    Role.ATTACK: Direction.LOWER,
    Role.FLOOR: Direction.NONE,
    Role.UTILITY: Direction.HIGHER,
}


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
        surfaces: What it touches; only the host's own control touches nothing.
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
    """A defense: a class that implements the protocol of each of its stages.

    Attributes:
        stages: When it acts; one at least.
        needs: The least that it works with. A repair is given the model: ``Access.WEIGHTS``.
        grid: For a repair: settings that the host may try where a suite grants a tuning budget,
            from the gentlest (the model stays most as it is) to the strongest.
    """

    kind: ClassVar[str] = "defense"
    stages: frozenset[DefenseStage] = frozenset()
    needs: Needs = NO_NEEDS
    grid: tuple[Mapping[str, Any], ...] = ()


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
        role: What it means for ranks and gates; the first value of a suite with a role has it.
            It fixes the direction: of ``ATTACK`` lower is better, of ``UTILITY`` higher, and
            ``FLOOR`` has none.

    Raises:
        InputError: The direction is not the role's, or a value by class has a role.
    """

    name: str
    summary: str
    direction: Direction
    bounds: tuple[float | None, float | None] = (None, None)
    unit: str = "share"
    per_class: bool = False
    role: Role | None = None

    def __post_init__(self) -> None:
        """Refuses a role that ranks and gates would misread."""
        if self.role is None:
            return
        if self.direction != WAYS[self.role]:
            raise InputError(
                "the role of a value does not go with its direction",
                where=f"MetricValue {self.name}",
                found=f"role {self.role} and direction {self.direction}",
                expected=f"direction {WAYS[self.role]}",
            )
        if self.per_class:
            raise InputError(
                "a value by class cannot have a role: there is more than one number of it",
                where=f"MetricValue {self.name}",
                found=f"role {self.role}",
                expected="no role, or a value that is one number",
            )


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
