"""What observers are told. Frozen, plain data; fields may be added, never removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CellEvent", "PlanBuilt", "RunEvent", "StageEvent"]


@dataclass(frozen=True, slots=True)
class PlanBuilt:
    """A plan.

    Attributes:
        suite: The suite's name.
        cells: How many cells the matrix has, by status (``cached``, ``to run``,
            ``incompatible``).
        stages: How many stages have to be computed, by kind.
    """

    suite: str
    cells: Mapping[str, int]
    stages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunEvent:
    """A run at its start or its end.

    Attributes:
        run_id: The run's own name, unique below one home.
        suite: The suite's name.
        home: The folder that everything lives under.
        status: ``started``, ``finished`` or ``interrupted``.
        document: The suite as resolved, with every default filled in.
    """

    run_id: str
    suite: str
    home: Path
    status: str
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageEvent:
    """A stage changed.

    Attributes:
        kind: ``data``, ``poison``, ``base``, ``pretrained``, ``victim``, ``edited``,
            ``triggered``, ``treated``, ``screened``, ``predictions``, ``attack_scores`` or
            ``scores``.
        key: Its identity.
        status: ``started``, ``finished`` or ``failed``. Nothing is told of what is in the store.
        label: For people, for instance ``victim badnets, seed 0``.
        seconds: Wall time, once it is over.
        error: The error as a dictionary, where it failed.
    """

    kind: str
    key: str
    status: str
    label: str = ""
    seconds: float | None = None
    error: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CellEvent:
    """A cell is done.

    Attributes:
        run_id: The run that it belongs to.
        home: The folder that everything lives under.
        record: The cell's record, as in its JSON file.
    """

    run_id: str
    home: Path
    record: Mapping[str, Any]
