"""What two records of one cell were made with that is not the same, and where they disagree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from bdbench.results.records import CellRecord, ComponentRecord

__all__ = [
    "Change",
    "by_place",
    "changes_between",
    "common_changes",
    "count_changes",
    "values_that_differ",
]

Place = tuple[str, str, str, str, int]

CODE = 12
"""Digits of a digest that are shown."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    Attributes:
        what: What it is, for instance ``defense merge: version``.
        before: What it was; empty if it was not there.
        after: What it is now.
    """

    what: str
    before: str
    after: str


def by_place(records: Iterable[CellRecord]) -> dict[Place, CellRecord]:
    """Records by data set, model, attack, defense and seed."""
    return {
        (
            record.dataset.label,
            record.model.label,
            record.attack.label,
            record.defense_label,
            record.seed,
        ): record
        for record in records
    }


def changes_between(before: CellRecord, after: CellRecord) -> Iterator[Change]:
    """What two cells were made with that differs: components, grants, recipe, environment."""
    yield from _component("data set", before.dataset, after.dataset)
    yield from _component("model", before.model, after.model)
    yield from _component("attack", before.attack, after.attack)
    for one, other in zip_longest(before.defense, after.defense):
        yield from _component("defense", one, other)
    yield from _mappings("granted", before.granted, after.granted)
    yield from _mappings("training", before.training, after.training)
    yield from _mappings("environment", before.environment, after.environment)
    for name in ("isolation", "selection", "needs"):
        yield from _one(name, getattr(before, name), getattr(after, name))


def count_changes(pairs: Iterable[tuple[CellRecord, CellRecord]]) -> Counter[Change]:
    """Every change between pairs of records, with the number of pairs that have it."""
    return Counter(change for pair in pairs for change in changes_between(*pair))


def common_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """What differs in what all cells of two comparisons share: metrics and reference models."""
    for kind in ("metric", "reference"):
        old, new = (
            {
                item["label"]: ComponentRecord.model_validate(
                    {name: value for name, value in item.items() if name != "kind"}
                )
                for item in comparison["provenance"]["components"]
                if item["kind"] == kind
            }
            for comparison in (before, after)
        )
        for label in dict.fromkeys([*old, *new]):
            yield from _component(kind, old.get(label), new.get(label))


def values_that_differ(
    before: CellRecord, after: CellRecord
) -> Iterator[tuple[str, float | None, float | None]]:
    """The metric values that are not equal, to the last digit; None where there is none."""
    for name in dict.fromkeys([*before.metrics, *after.metrics]):
        one, other = before.metrics.get(name), after.metrics.get(name)
        if one != other:
            yield name, one, other


def _component(
    kind: str, before: ComponentRecord | None, after: ComponentRecord | None
) -> Iterator[Change]:
    if before is None or after is None:
        yield from _one(kind, before and before.component, after and after.component)
        return
    what = f"{kind} {before.label}"
    yield from _one(f"{what}: component", before.component, after.component)
    for name in ("version", "revision"):
        yield from _one(f"{what}: {name}", getattr(before, name), getattr(after, name))
    yield from _one(f"{what}: code", before.code[:CODE], after.code[:CODE])
    yield from _mappings(what, before.config, after.config)


def _mappings(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        yield from _one(f"{what}: {name}", before.get(name), after.get(name))


def _one(what: str, before: Any, after: Any) -> Iterator[Change]:
    if before != after:
        yield Change(what, _shown(before), _shown(after))


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
