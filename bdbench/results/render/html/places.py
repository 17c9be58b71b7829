"""The comparison by (data set, model), in the order that every part of the page shows it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Estimate", "Place", "Row", "column_of", "places", "state"]

Row = Mapping[str, Any]
Estimate = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """One data set and model: what may be compared with each other.

    Args:
        number: From 1; makes identifiers that no foreign text is part of.
        dataset: Its label.
        model: Its label.
        attacks: Labels without the control's, those that count first.
        defenses: Labels by mean rank, then those without a rank, each as in the rows.
        cells: The rows of attacks, by attack and defense.
        controls: The rows of the never-attacked control, by defense.
        ranking: The entry of `rankings`; None if nothing could be ranked.
    """

    number: int
    dataset: str
    model: str
    attacks: list[str]
    defenses: list[str]
    cells: Mapping[tuple[str, str], Row]
    controls: Mapping[str, Row]
    ranking: Mapping[str, Any] | None

    @property
    def identity(self) -> str:
        """The beginning of all identifiers of its section."""
        return f"p{self.number}"

    @property
    def rows(self) -> list[Row]:
        """All its rows."""
        return [*self.controls.values(), *self.cells.values()]

    @property
    def has_intervals(self) -> bool:
        """Whether any of its values has an interval; it takes three seeds."""
        values = [value for row in self.rows for value in row["values"].values()]
        return any(value is not None and value["low"] is not None for value in values)

    @property
    def scaled(self) -> list[Row]:
        """The rows that axes are made for: of attacks that count, or of all if none does."""
        return [*filter(_passed, self.cells.values())] or [*self.cells.values()]

    def of(self, attack: str) -> list[tuple[str, Row]]:
        """Each defense that has a row under an attack."""
        return [(d, self.cells[attack, d]) for d in self.defenses if (attack, d) in self.cells]

    def gate(self, attack: str) -> str:
        """Why an attack does not count; empty if it does."""
        return next((r["gate"]["reason"] for _, r in self.of(attack) if not _passed(r)), "")

    def ranked(self, defense: str) -> bool:
        """Whether the defense has a mean rank."""
        return self.ranking is not None and defense in {
            entry["defense"] for entry in self.ranking["defenses"]
        }


def places(comparison: Mapping[str, Any]) -> list[Place]:
    """Every (data set, model) of the comparison, in the order of its rows."""
    keys = list(dict.fromkeys((row["dataset"], row["model"]) for row in comparison["rows"]))
    return [_place(comparison, i, *key) for i, key in enumerate(keys, 1)]


def _place(comparison: Mapping[str, Any], index: int, dataset: str, model: str) -> Place:
    here = (dataset, model)
    rows = [row for row in comparison["rows"] if (row["dataset"], row["model"]) == here]
    rankings = [r for r in comparison["rankings"] if (r["dataset"], r["model"]) == here]
    ranking = rankings[0] if rankings else None
    attacked = [row for row in rows if not row["control"]]
    attacks = [*filter(_passed, attacked), *attacked]
    order = [entry["defense"] for entry in ranking["defenses"]] if ranking else []
    return Place(
        number=index,
        dataset=dataset,
        model=model,
        attacks=list(dict.fromkeys(row["attack"] for row in attacks)),
        defenses=list(dict.fromkeys([*order, *(row["defense"] for row in rows)])),
        cells={(row["attack"], row["defense"]): row for row in attacked},
        controls={row["defense"]: row for row in rows if row["control"]},
        ranking=ranking,
    )


def _passed(row: Row) -> bool:
    passed: bool = row["gate"]["passed"]
    return passed


def column_of(comparison: Mapping[str, Any], role: str) -> Mapping[str, Any] | None:
    """The column with a role; None if no metric of the suite has it."""
    name = comparison["roles"][role]
    return next((c for c in comparison["columns"] if c["name"] == name), None)


def state(row: Row) -> str:
    """Why a row has no value, in a word or two."""
    if row["status"].get("incompatible"):
        return "cannot run"
    return "failed" if row["failed"] or row["status"].get("failed") else "not run"
