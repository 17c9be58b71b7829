"""What an attack implements, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from bdbench.api.data import Examples, Task
from bdbench.api.errors import InputError
from bdbench.api.seeds import SeedStream

__all__ = ["Attack", "AttackerView", "Poisoning", "PoisonsData", "choose_poison_rows"]


@dataclass(frozen=True, slots=True)
class AttackerView:
    """All that an attacker is given: the task and the clean training rows. No test rows."""

    task: Task
    train: Examples


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


class Attack(ABC):
    """The base of every attack.

    One object both poisons the training set and applies the trigger to the test rows, so it
    may keep what it chose.

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
        limit = len(suitable) / len(labels) if labels else 0.0
        kind = "of the target class" if clean_label else "of other classes than the target"
        raise InputError(
            "the poison rate cannot be met",
            where="poison_rate",
            found=f"{rate} of {len(labels)} rows, which is {count}",
            expected=f"between 1 and {len(suitable)} rows ({kind})",
            next=f"set poison_rate to at most {int(limit * 1000) / 1000}"
            if suitable
            else "choose another target or label policy",
        )
    order = suitable[:]
    seeds.random().shuffle(order)
    return sorted(order[:count])
