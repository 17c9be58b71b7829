"""What an attack implements, and what it is given."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

from bdbench.api.data import Examples, Task
from bdbench.api.errors import InputError, NotGrantedError
from bdbench.api.models import Checkpoint, Engine, Outputs, Recipe
from bdbench.api.seeds import SeedStream

__all__ = [
    "Attack",
    "AttackerView",
    "EditsPretrained",
    "EditsWeights",
    "MakesVariants",
    "Poisoning",
    "PoisonsData",
    "ProbesVictim",
    "Tampering",
    "TampersTraining",
    "choose_poison_rows",
]


class AttackerView:
    """All that an attacker is given: the task and the clean training rows. No test rows.

    An attack that touches a model (any surface but ``DATA``, or ``uses_model`` in its spec) is
    also given the engine, the pre-trained weights and a folder; for others, asking for them
    raises `NotGrantedError`.

    Attributes:
        task: What the victim is for.
        train: The clean training rows.
    """

    def __init__(
        self,
        task: Task,
        train: Examples,
        *,
        engine: Engine | None = None,
        start: Checkpoint | None = None,
        workspace: Path | None = None,
    ) -> None:
        self.task = task
        self.train = train
        self._engine = engine
        self._start = start
        self._workspace = workspace

    @property
    def engine(self) -> Engine:
        """Torch work, done by the host and counted."""
        return self._engine if self._engine is not None else self._refuse("an engine")

    @property
    def start(self) -> Checkpoint:
        """The clean weights that training starts from: pre-trained body, fresh head."""
        return self._start if self._start is not None else self._refuse("a model")

    @property
    def workspace(self) -> Path:
        """An empty folder to write to."""
        return self._workspace if self._workspace is not None else self._refuse("a folder")

    def _refuse(self, what: str) -> NoReturn:
        raise NotGrantedError(
            "an attack asked for something that it was not given",
            where="AttackerView",
            found=f"{what}, asked for by an attack that touches data only",
            expected="a surface that touches a model, or uses_model=True, in its AttackSpec",
            next="declare it in the plugin's hooks.py",
        )


@dataclass(frozen=True, slots=True)
class Poisoning:
    """A poisoned training set.

    Attributes:
        train: The rows that the victim is trained on, in the order of the clean ones;
            appended rows come last, with new ids.
        mask: True for each row that the attacker changed or added. The host checks that all
            other rows are as they were, and keeps the mask from every defender.
        notes: Facts for the record.
    """

    train: Examples
    mask: Sequence[bool]
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tampering:
    """A model that an attacker changed.

    Attributes:
        checkpoint: A new folder below ``view.workspace``, written by ``view.engine.save``.
        notes: Facts for the record.
    """

    checkpoint: Checkpoint
    notes: Mapping[str, Any] = field(default_factory=dict)


class Attack(ABC):
    """The base of every attack.

    Each surface is worked on by an object of its own, built from the same configuration: what
    one call keeps, only calls of the same step see. The steps are: poison the rows and apply
    the trigger to the test rows (in one object, unless the attack probes the victim); edit the
    pre-trained weights; train; edit the victim; probe the victim and apply the trigger.

    Args:
        config: The validated configuration; store it and do nothing else.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:
        """The same rows with the trigger in every one; labels and ids as they were.

        Draw randomness for a row from ``seeds.child(id)``, so that it does not depend on
        which other rows are there.
        """

    def target(self, task: Task) -> int | None:
        """The class that triggered inputs should get; None for attacks without one.

        Raises:
            InputError: The configured target is not a class of the task.
        """
        value = getattr(self.config, "target", None)
        return None if value is None else task.class_index(value, where="target")

    def eligible(self, examples: Examples, task: Task) -> list[bool]:
        """The rows on which success can be seen: those whose true label is not the target."""
        target = self.target(task)
        return [label != target for label in examples.labels]


@runtime_checkable
class PoisonsData(Protocol):
    """An attack on the surface ``DATA``."""

    def poison(self, view: AttackerView, seeds: SeedStream) -> Poisoning:
        """Poisons the training rows."""
        ...


@runtime_checkable
class EditsPretrained(Protocol):
    """An attack on the surface ``PRETRAINED``: a poisoned model that others fine-tune.

    The victim starts from what it leaves; what is poisoned must outlive honest training. The
    defender's base weights stay the clean ones.
    """

    def edit_pretrained(
        self, start: Checkpoint, view: AttackerView, seeds: SeedStream
    ) -> Tampering:
        """Changes the weights that training starts from.

        Args:
            start: The clean pre-trained weights with a fresh head, as ``view.start``.
            view: What the attacker is given.
            seeds: The attacker's randomness.
        """
        ...


@runtime_checkable
class TampersTraining(Protocol):
    """An attack on the surface ``TRAINING``: the attacker trains the victim."""

    def train(
        self,
        start: Checkpoint,
        rows: Examples,
        view: AttackerView,
        recipe: Recipe,
        seeds: SeedStream,
    ) -> Tampering:
        """Trains the victim, by the host's loop (``view.engine.fine_tune``) where that will do.

        Args:
            start: What training starts from.
            rows: The rows to train on, poisoned if the attack poisons data too.
            view: What the attacker is given; ``view.train`` holds the clean rows.
            recipe: The suite's recipe.
            seeds: The victim's own randomness: handed on to ``fine_tune`` it gives the order
                and dropout of the clean twin.
        """
        ...


@runtime_checkable
class EditsWeights(Protocol):
    """An attack on the surface ``WEIGHTS``: acts on the trained victim."""

    def edit(self, victim: Checkpoint, view: AttackerView, seeds: SeedStream) -> Tampering:
        """Changes the trained victim."""
        ...


@runtime_checkable
class ProbesVictim(Protocol):
    """An attacker who can query the finished victim before the trigger is chosen.

    For attacks on pre-trained weights, which cannot know what class a trigger will mean once
    somebody has fine-tuned them (``probes_victim`` in the spec).
    """

    def probe(
        self,
        predict: Callable[[Examples], Outputs],
        view: AttackerView,
        seeds: SeedStream,
    ) -> Mapping[str, Any]:
        """Asks the victim; keeps what it learns for ``apply_trigger``, which is called next.

        Args:
            predict: What the undefended victim says of rows.
            view: What the attacker is given.
            seeds: The attacker's randomness.

        Returns:
            Facts for the record.
        """
        ...


@runtime_checkable
class MakesVariants(Protocol):
    """An attack with further versions of the test rows (``makes_variants`` in the spec).

    For instance rows with a part of the trigger only, or with a growing number of insertions.
    Metrics find the defended model's answers under ``Evidence.variants``.
    """

    def variants(self, examples: Examples, task: Task, seeds: SeedStream) -> Mapping[str, Examples]:
        """Versions of all or some of the rows by name; labels and ids as they were.

        Args:
            examples: The test rows on which success can be seen, without any trigger.
            task: What the victim is for.
            seeds: The attacker's randomness.
        """
        ...


RATES = 1_000_000
"""Rates that are proposed are whole multiples of the inverse."""


def choose_poison_rows(
    labels: Sequence[Any], target: int, rate: float, *, clean_label: bool, seeds: SeedStream
) -> list[int]:
    """The positions of the rows to poison: ``round(rate * n)`` of them, ascending.

    The rate is a share of *all* training rows. With dirty labels only rows of other classes
    are taken, with clean labels only rows of the target class. A smaller rate takes a subset
    of what a larger one takes.

    Raises:
        InputError: There are fewer suitable rows than the rate asks for.
    """
    count = round(rate * len(labels))
    suitable = [row for row, label in enumerate(labels) if (label == target) == clean_label]
    if not 0 < count <= len(suitable):
        kind = "of the target class" if clean_label else "of other classes than the target"
        raise InputError(
            "the poison rate cannot be met",
            where="poison_rate",
            found=f"{rate} of {len(labels)} rows, which is {count}",
            expected=f"between 1 and {len(suitable)} rows ({kind})",
            next=_possible_rate(count, len(suitable), len(labels)),
        )
    order = suitable[:]
    seeds.random().shuffle(order)
    return sorted(order[:count])


def _possible_rate(count: int, suitable: int, rows: int) -> str:
    """What to do where `count` rows cannot be poisoned; rates are rounded to what is possible."""
    if not suitable:
        return "choose another target or label policy"
    if count > suitable:
        return f"set poison_rate to at most {math.floor(suitable / rows * RATES) / RATES:g}"
    return f"set poison_rate to at least {math.ceil(RATES / rows) / RATES:g}, or use more rows"
