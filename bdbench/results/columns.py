"""The columns of a comparison: what the suite's metrics measure, and which values have a role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bdbench.api.specs import MetricSpec, MetricValue, Role
from bdbench.results.estimates import Bounds
from bdbench.results.records import CellRecord
from bdbench.suite.resolve import ResolvedSuite

__all__ = ["Columns"]


@dataclass(slots=True)
class Columns:
    """The values of all metrics, in the order of the suite.

    Attributes:
        documents: What each column is, in the schema of a comparison.
        roles: The name of the value that has a role.
        notes: Sentences for the reader.
    """

    documents: list[dict[str, Any]] = field(default_factory=list)
    roles: dict[Role, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, resolved: ResolvedSuite, records: Sequence[CellRecord]) -> Columns:
        """The columns of a suite; of values by class those that the records have."""
        columns = cls()
        for part in resolved.metrics:
            spec = part.component.spec
            for value in spec.values if isinstance(spec, MetricSpec) else ():
                role = columns._take(value)
                for name in _names(value, records):
                    columns.documents.append(
                        {
                            "name": name,
                            "summary": value.summary,
                            "direction": value.direction.value,
                            "bounds": list(value.bounds),
                            "unit": value.unit,
                            "metric": part.component.full_name,
                            "role": role.value if role else None,
                        }
                    )
        if missing := [role for role in Role if role not in columns.roles]:
            columns.notes.append(
                f"no metric of the suite has a value with the role {', '.join(missing)}: "
                "nothing is ranked."
            )
        return columns

    def bounds(self, name: str) -> Bounds:
        """The least and the greatest value that is possible."""
        low, high = next(item["bounds"] for item in self.documents if item["name"] == name)
        return low, high

    def _take(self, value: MetricValue) -> Role | None:
        """The value's role, unless another value has it already."""
        if value.role is None:
            return None
        if value.role in self.roles:
            self.notes.append(
                f"{self.roles[value.role]} and {value.name} both claim the role {value.role}; "
                f"{self.roles[value.role]}, which comes first, has it."
            )
            return None
        self.roles[value.role] = value.name
        return value.role


def _names(value: MetricValue, records: Sequence[CellRecord]) -> Iterator[str]:
    """What a value is called in records: by class where there is one number for each."""
    if not value.per_class:
        yield value.name
        return
    numbers = {
        int(number)
        for record in records
        for name in record.metrics
        for stem, _, number in [name.rpartition(".")]
        if stem == value.name
    }
    yield from (f"{value.name}.{number}" for number in sorted(numbers))
