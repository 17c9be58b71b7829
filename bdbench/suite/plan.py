"""What a plan is: cells, and the keyed stages that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bdbench.suite.resolve import Part, ResolvedDefense, ResolvedSuite

__all__ = ["Cell", "Plan", "Stage", "Wanted"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One keyed, cached step.

    Attributes:
        kind: A kind of `bdbench.suite.identity.STAGE_REVISIONS`.
        key: Its identity.
        label: For people.
        inputs: The keys of the stages that it reads, by role; a list where there are several.
        settings: Everything else that a worker needs, as JSON data (shared between stages).
    """

    kind: str
    key: str
    label: str
    inputs: Mapping[str, str | list[str]]
    settings: Mapping[str, Any]

    def reads(self) -> Iterator[str]:
        """The keys of everything that it reads."""
        for value in self.inputs.values():
            if isinstance(value, str):
                yield value
            else:
                yield from value

    def document(self) -> dict[str, Any]:
        """The stage as JSON data, for a worker."""
        return {
            "kind": self.kind,
            "key": self.key,
            "inputs": dict(self.inputs),
            "settings": dict(self.settings),
        }


@dataclass(frozen=True, slots=True)
class Cell:
    """One (dataset, model, attack, defense, seed).

    Attributes:
        stages: Keys by role: ``data``, ``poison``, ``pretrained``, ``trained``, ``victim``,
            ``triggered``, ``treated``, ``screened_*``, ``predictions_*``, ``scores``; only
            those that the cell has.
        reason: Why it cannot run; empty if it can.
    """

    dataset: Part
    model: Part
    attack: Part
    defense: ResolvedDefense
    seed: int
    stages: Mapping[str, str]
    reason: str = ""

    @property
    def label(self) -> str:
        """For people."""
        return (
            f"{self.dataset.label} · {self.model.label} · {self.attack.label} · "
            f"{self.defense.label} · seed {self.seed}"
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cells of a suite are wanted, by label; None for all of a kind."""

    datasets: Container[str] | None = None
    models: Container[str] | None = None
    attacks: Container[str] | None = None
    defenses: Container[str] | None = None
    seeds: Container[int] | None = None

    def includes(self, kind: str, value: str | int) -> bool:
        """Whether a label (or seed) is among those wanted."""
        allowed: Container[Any] | None = getattr(self, kind)
        return allowed is None or value in allowed


@dataclass(slots=True)
class Plan:
    """All cells and stages of a suite.

    Attributes:
        resolved: The suite that it is of.
        partial: Whether filters left cells of it out.
        cells: In the order of the suite.
        stages: By key, each after everything that it reads.
    """

    resolved: ResolvedSuite
    partial: bool = False
    cells: list[Cell] = field(default_factory=list)
    stages: dict[str, Stage] = field(default_factory=dict)

    def missing(self, stored: Container[str]) -> dict[str, Stage]:
        """The stages that have to be computed, given what the store holds.

        Goes backward from the scores, so that nothing is computed that only a stage read that
        is itself already there.
        """
        wanted = [cell.stages["scores"] for cell in self.cells if not cell.reason]
        needed: set[str] = set()
        while wanted:
            key = wanted.pop()
            if key not in needed and key not in stored:
                needed.add(key)
                wanted += self.stages[key].reads()
        return {key: stage for key, stage in self.stages.items() if key in needed}

    def first_failure(self, cell: Cell, failed: Container[str]) -> Stage | None:
        """The stage, earliest in the plan, whose failure keeps a cell from its scores."""
        behind: set[str] = set()
        wanted = [cell.stages["scores"]]
        while wanted:
            key = wanted.pop()
            if key not in behind:
                behind.add(key)
                wanted += self.stages[key].reads()
        return next(
            (stage for key, stage in self.stages.items() if key in behind and key in failed), None
        )

    def status(self, cell: Cell, stored: Container[str]) -> str:
        """``cached``, ``to run`` or ``incompatible``."""
        if cell.reason:
            return "incompatible"
        return "cached" if cell.stages["scores"] in stored else "to run"

    def count_cells(self, stored: Container[str]) -> Counter[str]:
        """How many cells have which status."""
        return Counter(self.status(cell, stored) for cell in self.cells)
