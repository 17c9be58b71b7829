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
    """Which cells of a suite are wanted, by label; None for all of a kind.

    The undefended victims of these attacks and of the control come with them: nothing can be
    said of a defense, or of an attack, without.
    """

    datasets: Container[str] | None = None
    models: Container[str] | None = None
    attacks: Container[str] | None = None
    defenses: Container[str] | None = None
    seeds: Container[int] | None = None

    def includes(self, kind: str, value: str | int) -> bool:
        """Whether a label (or seed) is among those wanted."""
        allowed: Container[Any] | None = getattr(self, kind)
        return allowed is None or value in allowed

    def includes_pair(self, attack: Part, defense: ResolvedDefense) -> bool:
        """Whether what a defense does against an attack is wanted, or needed to judge others."""
        attacked = attack.is_control or self.includes("attacks", attack.label)
        if defense.is_baseline:
            return attacked
        return self.includes("attacks", attack.label) and self.includes("defenses", defense.label)


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

        Everything behind a cell's scores, even where these are there: its record tells what all
        of it cost, and how components were kept apart.
        """
        needed: set[str] = set()
        for cell in self.cells:
            if not cell.reason:
                needed |= self.behind(cell)
        return {
            key: stage for key, stage in self.stages.items() if key in needed and key not in stored
        }

    def behind(self, cell: Cell) -> set[str]:
        """The keys of all stages that a cell's scores rest on, reference models' included."""
        found: set[str] = set()
        wanted = [cell.stages["scores"]]
        while wanted:
            key = wanted.pop()
            if key not in found:
                found.add(key)
                wanted += self.stages[key].reads()
        return found

    def first_failure(self, cell: Cell, failed: Container[str]) -> Stage | None:
        """The stage, earliest in the plan, whose failure keeps a cell from its scores."""
        behind = self.behind(cell)
        return next(
            (stage for key, stage in self.stages.items() if key in behind and key in failed), None
        )

    def status(self, cell: Cell, stored: Container[str]) -> str:
        """``cached``, ``to run`` or ``incompatible``."""
        if cell.reason:
            return "incompatible"
        cached = all(key in stored for key in self.behind(cell))
        return "cached" if cached else "to run"

    def count_cells(self, stored: Container[str]) -> Counter[str]:
        """How many cells have which status."""
        return Counter(self.status(cell, stored) for cell in self.cells)
