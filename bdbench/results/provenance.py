"""Where a comparison comes from: components, settings, versions, data, and whom to cite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bdbench.results.records import ISOLATION, CellRecord, ComponentRecord
from bdbench.suite.resolve import Part, ResolvedSuite

__all__ = ["citations", "provenance"]

KINDS = ("dataset", "model", "attack", "defense")


def provenance(records: Sequence[CellRecord], resolved: ResolvedSuite) -> dict[str, Any]:
    """What took part, in the schema of a comparison.

    Values of the environment that are not the same in all cells are listed with commas.
    """
    data: dict[str, dict[str, Any]] = {}
    environment: dict[str, dict[str, None]] = {}
    for record in records:
        if "data" in record.notes:
            data.setdefault(record.dataset.label, record.notes["data"])
        for name, value in record.environment.items():
            environment.setdefault(name, {})[value] = None
    isolation = {record.isolation for record in records if record.status == "success"}
    return {
        "components": list(_components(records, resolved)),
        "training": records[0].training if records else {},
        "environment": {name: ", ".join(values) for name, values in sorted(environment.items())},
        "isolation": [level for level in reversed(ISOLATION) if level in isolation],
        "data": [{"dataset": name, "notes": notes} for name, notes in data.items()],
    }


def citations(records: Sequence[CellRecord], resolved: ResolvedSuite) -> list[dict[str, str]]:
    """The BibTeX of everything in the table, each component once."""
    used = {component.component for _, component in _named(records)}
    always = (*resolved.metrics, *resolved.references)
    found: dict[str, str] = {}
    for part in _parts(resolved):
        name, bibtex = part.component.full_name, part.component.spec.citation
        if bibtex and (name in used or part in always):
            found.setdefault(name, bibtex)
    return [{"component": name, "bibtex": bibtex} for name, bibtex in found.items()]


def _components(records: Sequence[CellRecord], resolved: ResolvedSuite) -> Iterable[dict[str, Any]]:
    seen = set()
    for kind, component in sorted(_named(records), key=lambda item: KINDS.index(item[0])):
        if (kind, component.label, component.component) not in seen:
            seen.add((kind, component.label, component.component))
            yield {"kind": kind, **component.model_dump(mode="json")}
    references = [part for part in resolved.references if isinstance(part, Part)]
    for kind, parts in (("reference", references), ("metric", resolved.metrics)):
        yield from (_component(kind, part) for part in parts)


def _component(kind: str, part: Part) -> dict[str, Any]:
    return {
        "kind": kind,
        "label": part.label,
        "component": part.component.full_name,
        "version": part.component.version,
        "revision": part.component.spec.revision,
        "code": part.code,
        "config": dict(part.document["config"]),
    }


def _named(records: Sequence[CellRecord]) -> Iterable[tuple[str, ComponentRecord]]:
    for record in records:
        yield "dataset", record.dataset
        yield "model", record.model
        yield "attack", record.attack
        for component in record.defense:
            yield "defense", component


def _parts(resolved: ResolvedSuite) -> Iterable[Part]:
    yield from resolved.datasets
    yield from resolved.models
    yield from resolved.attacks
    for defense in resolved.defenses:
        yield from defense.parts
    yield from (part for part in resolved.references if isinstance(part, Part))
    yield from resolved.metrics
