"""What a defense implements, and what it is given."""

from __future__ import annotations

import enum
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

from bdbench.api.data import Examples, Task
from bdbench.api.errors import NotGrantedError
from bdbench.api.granted import Granted
from bdbench.api.models import Checkpoint, Engine, Outputs
from bdbench.api.needs import Access, Needs
from bdbench.api.seeds import SeedStream

__all__ = [
    "DefenderView",
    "Defense",
    "Filtering",
    "FiltersData",
    "Repair",
    "RepairsModel",
    "Screening",
    "ScreensInputs",
    "Selection",
]


class Selection(enum.StrEnum):
    """How a defense came by its hyper-parameters and thresholds.

    Attributes:
        FIXED: They are the method's or the suite's.
        CLEAN_VAL: Chosen on what the defender was granted.
        ORACLE: Chosen with knowledge of the test rows or the attack; never ranked.
    """

    FIXED = "fixed"
    CLEAN_VAL = "clean_val"
    ORACLE = "oracle"


class DefenderView:
    """All that a defender is given: what its `Needs` declare and the suite grants.

    It has no field for the trigger, the target, the poison mask or the test labels. Asking
    for what was not declared raises `NotGrantedError`, which names the need to declare.

    Attributes:
        task: What the victim is for.
        seeds: The defense's own randomness.
        workspace: An empty folder to write to.
        engine: Torch work, done by the host and counted.
    """

    def __init__(
        self,
        *,
        defense: str,
        needs: Needs,
        task: Task,
        seeds: SeedStream,
        workspace: Path,
        engine: Engine,
        clean_rows: Examples | None = None,
        references: Sequence[Checkpoint] = (),
        base: Checkpoint | None = None,
        training_rows: Examples | None = None,
        predict: Callable[[Examples], Outputs] | None = None,
        drawn: Callable[..., None] | None = None,
    ) -> None:
        self.task = task
        self.seeds = seeds
        self.workspace = workspace
        self.engine = engine
        self._defense = defense
        self._clean_rows = clean_rows if needs.clean_rows else None
        drawn = drawn or _uncounted
        granted = references if needs.references else ()
        self._references = Granted(granted, lambda count: drawn(references=count))
        self._base = base if needs.base_weights else None
        self._training_rows = training_rows if needs.training_data else None
        self._predict = predict if needs.access >= Access.OUTPUTS else None
        self._drawn = drawn

    @property
    def clean_rows(self) -> Examples:
        """The labelled clean rows, the same for every defense of the cell's seed."""
        if self._clean_rows is None:
            self._refuse("clean_rows=1")
        self._drawn(clean_rows=len(self._clean_rows))
        return self._clean_rows

    @property
    def references(self) -> tuple[Checkpoint, ...]:
        """The reference models, the same for every defense of the cell's attack.

        Those that are taken out of the tuple count as used.
        """
        if not self._references:
            self._refuse("references=1")
        return self._references

    @property
    def base(self) -> Checkpoint:
        """The clean pre-trained weights, with a fresh head."""
        return self._base if self._base is not None else self._refuse("base_weights=True")

    @property
    def training_rows(self) -> Examples:
        """What the victim was trained on."""
        if self._training_rows is None:
            self._refuse("training_data=True")
        return self._training_rows

    def predict(self, rows: Examples) -> Outputs:
        """What the model under defense says of rows."""
        if self._predict is None:
            self._refuse("access=Access.OUTPUTS")
        return self._predict(rows)

    def _refuse(self, need: str) -> NoReturn:
        raise NotGrantedError(
            "a defense asked for something that it was not given",
            where=self._defense,
            found=f"no declared need for it, or no grant by the suite (Needs({need}))",
            expected=f"Needs({need}) in the spec and the matching grant under `defender:`",
            next=f"declare Needs({need}) in the plugin's hooks.py",
        )


def _uncounted(**_: int) -> None:
    """For views that nobody meters."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A repaired model.

    Attributes:
        checkpoint: A new folder; never the victim's.
        notes: Facts for the record: what was flagged, pruned, chosen, and how.
        selection: How hyper-parameters were chosen.
    """

    checkpoint: Checkpoint
    notes: Mapping[str, Any] = field(default_factory=dict)
    selection: Selection = Selection.FIXED


@dataclass(frozen=True, slots=True)
class Screening:
    """What an input screen does with rows.

    Attributes:
        examples: The rows as the model should see them: same number, order, ids and labels.
        rejected: True for each row that the model is not to answer. A rejected row counts as
            a wrong answer on clean rows and as a stopped attack on triggered ones.
        scores: How suspicious each row is, higher meaning more so.
        notes: Facts for the record, such as the threshold and how it was chosen.
        selection: How hyper-parameters were chosen.
    """

    examples: Examples
    rejected: Sequence[bool]
    scores: Sequence[float]
    notes: Mapping[str, Any] = field(default_factory=dict)
    selection: Selection = Selection.FIXED


@dataclass(frozen=True, slots=True)
class Filtering:
    """What a filter does with training rows.

    Attributes:
        keep: True for each row to train on.
        scores: How suspicious each row is, higher meaning more so.
        notes: Facts for the record.
        examples: The training rows rewritten, in the same order and number, before `keep`
            is applied; None to leave them as they are.
        selection: How hyper-parameters were chosen.
    """

    keep: Sequence[bool]
    scores: Sequence[float]
    notes: Mapping[str, Any] = field(default_factory=dict)
    examples: Examples | None = None
    selection: Selection = Selection.FIXED


class Defense(ABC):  # noqa: B024 -- its methods are those of the stages' protocols
    """The base of every defense.

    Args:
        config: The validated configuration; store it and do nothing else.
    """

    def __init__(self, config: Any) -> None:
        self.config = config


@runtime_checkable
class FiltersData(Protocol):
    """Stage ``FILTER``: acts on the training rows, then the host trains anew."""

    def filter(self, train: Examples, view: DefenderView) -> Filtering:
        """Decides which training rows to keep."""
        ...


@runtime_checkable
class RepairsModel(Protocol):
    """Stage ``REPAIR``: turns the victim into another model."""

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes a repaired model below ``view.workspace``."""
        ...


@runtime_checkable
class ScreensInputs(Protocol):
    """Stage ``SCREEN``: stands before the model and sees each input first."""

    def screen(self, rows: Examples, view: DefenderView) -> Screening:
        """Passes, rewrites or rejects rows. The labels it sees are all None."""
        ...
