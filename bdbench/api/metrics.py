"""What a metric implements, and what it measures on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bdbench.api.data import Examples, Task

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "ABSTAIN",
    "AttackEvidence",
    "AttackMetric",
    "Decisions",
    "Evidence",
    "Metric",
    "Predictions",
    "RowValues",
]

ABSTAIN = -1
"""The prediction of a classifier for a row that an input screen rejected."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model said of each row of a test set.

    Attributes:
        ids: The rows, shape [n].
        labels: The true answers, shape [n].
        columns: What the model said, each with first axis n; a classifier gives
            ``prediction`` (class numbers, `ABSTAIN` where a screen rejected the row) and
            ``probabilities`` [n, classes].
        rejected: Whether an input screen rejected the row, shape [n].
        scores: How suspicious an input screen found each row, shape [n]; None without one.
        rewritten: Whether an input screen changed the row, shape [n]; None without one.
    """

    ids: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    columns: Mapping[str, np.ndarray[Any, Any]]
    rejected: np.ndarray[Any, Any]
    scores: np.ndarray[Any, Any] | None = None
    rewritten: np.ndarray[Any, Any] | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the filters of a defense did with the training rows, beside the truth.

    Attributes:
        ids: The rows, shape [n].
        poisoned: Whether the attacker had changed or added the row, shape [n].
        kept: Whether every filter kept it, shape [n].
        scores: How suspicious the filters found it, the most of them, shape [n].
    """

    ids: np.ndarray[Any, Any]
    poisoned: np.ndarray[Any, Any]
    kept: np.ndarray[Any, Any]
    scores: np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class AttackEvidence:
    """What an attack does to test rows, before any defense.

    Attributes:
        task: What the victim is for.
        target: The attacked class.
        before: The test rows on which success can be seen, as in the data set.
        after: The same rows with the trigger.
        variants: The attack's variants of them, by name; each of all or some of the rows.
    """

    task: Task
    target: int | None
    before: Examples
    after: Examples
    variants: Mapping[str, Examples] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a metric may look at for one cell.

    Attributes:
        task: What the victim is for.
        target: The attacked class; None for the control.
        clean: The defended model on the clean test rows.
        triggered: The defended model on the triggered test rows, only those on which success
            can be seen (true label not the target); None for the control.
        undefended_clean: The victim itself on the clean test rows.
        undefended_triggered: The victim itself on the triggered rows.
        floor: The control (never attacked, not defended) on the same triggered rows.
        control_clean: The control on the clean test rows.
        filtering: What the defense's filters decided; None without one.
        variants: The defended model on the attack's variants of the test rows, by name.
        undefended_variants: The victim itself on them.
        floor_variants: The control on them.
        attack: The rows behind ``triggered`` and ``variants``; None for the control.
    """

    task: Task
    target: int | None
    clean: Predictions
    undefended_clean: Predictions
    control_clean: Predictions
    triggered: Predictions | None = None
    undefended_triggered: Predictions | None = None
    floor: Predictions | None = None
    filtering: Decisions | None = None
    variants: Mapping[str, Predictions] = field(default_factory=dict)
    undefended_variants: Mapping[str, Predictions] = field(default_factory=dict)
    floor_variants: Mapping[str, Predictions] = field(default_factory=dict)
    attack: AttackEvidence | None = None


@dataclass(frozen=True, slots=True)
class RowValues:
    """A value row by row; its mean is the value itself.

    Attributes:
        ids: The test rows that count, shape [n].
        values: What each contributes, shape [n]; for a share 0 or 1.
    """

    ids: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]


class AttackMetric(ABC):
    """The base of every metric of attacks: measured once, shown beside each defense.

    Args:
        config: The validated configuration; store it and do nothing else.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def measure(self, evidence: AttackEvidence) -> Mapping[str, float | None]:
        """The values that the spec lists, by name; None where one does not apply.

        Must not depend on the order of the rows. A value that is not finite fails the cell.
        """


class Metric(ABC):
    """The base of every metric of cells.

    Args:
        config: The validated configuration; store it and do nothing else.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def measure(self, evidence: Evidence) -> Mapping[str, float | None]:
        """The values that the spec lists, by name; None where one does not apply.

        Must not depend on the order of the rows. A value that is not finite fails the cell.
        """

    def rows(self, evidence: Evidence) -> Mapping[str, RowValues]:  # noqa: ARG002 -- may be None
        """Those of the values that are means over test rows, row by row.

        Intervals and tests rest on them: rows are as much a sample as seeds are. Values that
        are left out get intervals from the seeds alone.
        """
        return {}
