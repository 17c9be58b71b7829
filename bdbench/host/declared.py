"""Whether a plugin's specs say what can be understood, before anything relies on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields
from typing import Any

from bdbench.api.needs import Access, Needs
from bdbench.api.specs import (
    AttackSpec,
    ComponentSpec,
    DatasetSpec,
    DefenseSpec,
    DefenseStage,
    Direction,
    MetricSpec,
    MetricValue,
    Role,
    Subject,
    Surface,
)

__all__ = ["check_declared"]


def check_declared(spec: ComponentSpec, *, baseline: bool = False) -> None:
    """Refuses a spec with a value that would be misread, or read as nothing.

    Args:
        spec: The spec.
        baseline: Whether a defense or an attack may do nothing.

    Raises:
        TypeError: A field holds something else than it should.
        ValueError: What a defense declares cannot be.
    """
    for name, found, expected in _wrong(spec):
        raise TypeError(f"{name} of {spec.name} is {found!r}, expected {expected}")
    if isinstance(spec, DefenseSpec):
        _check_defense(spec, baseline=baseline)
    if isinstance(spec, AttackSpec) and not (spec.surfaces or baseline):
        raise ValueError(
            f"surfaces of {spec.name} are empty: it would be a control that touches nothing, "
            "expected members of Surface"
        )


Wrong = tuple[str, object, str]


def _wrong(spec: ComponentSpec) -> Iterator[Wrong]:
    yield from _not_of(spec, str, "text", "summary", "config", "citation")
    yield from _not_of(spec, int, "a whole number", "revision")
    yield from _not_all(spec, "tasks", str, "a frozenset of names of tasks")
    if spec.config and ":" not in spec.config:
        yield "config", spec.config, "'package.module:Model'"
    if isinstance(spec, AttackSpec):
        yield from _not_all(spec, "surfaces", Surface, "a frozenset of Surface")
        flags = ("uses_model", "probes_victim", "makes_variants")
        yield from _not_of(spec, bool, "True or False", *flags)
    elif isinstance(spec, DefenseSpec):
        yield from _wrong_defense(spec)
    elif isinstance(spec, MetricSpec):
        yield from _wrong_metric(spec)
    elif isinstance(spec, DatasetSpec):
        yield from _not_of(spec, str, "text", "task")


def _wrong_defense(spec: DefenseSpec) -> Iterator[Wrong]:
    yield from _not_all(spec, "stages", DefenseStage, "a frozenset of DefenseStage")
    yield from _not_of(spec, Needs, "Needs(...)", "needs")
    if isinstance(spec.needs, Needs):
        types: dict[str, tuple[type, str]] = {
            "access": (Access, "a member of Access"),
            "clean_rows": (int, "a whole number"),
            "references": (int, "a whole number"),
        }
        for field in fields(spec.needs):
            kind, words = types.get(field.name, (bool, "True or False"))
            for name, found, expected in _not_of(spec.needs, kind, words, field.name):
                yield f"needs.{name}", found, expected
    grid: Any = spec.grid
    if not isinstance(grid, (tuple, list)) or not all(isinstance(item, Mapping) for item in grid):
        yield "grid", grid, "a tuple of mappings"


def _wrong_metric(spec: MetricSpec) -> Iterator[Wrong]:
    yield from _not_of(spec, Subject, "a member of Subject", "subject")
    values: Any = spec.values
    if not isinstance(values, (tuple, list)) or not all(
        isinstance(value, MetricValue) for value in values
    ):
        yield "values", values, "a tuple of MetricValue"
        return
    for value in values:
        for name, found, expected in _wrong_value(value):
            yield f"{name} of a value", found, expected


def _wrong_value(value: MetricValue) -> Iterator[Wrong]:
    yield from _not_of(value, str, "text", "name", "summary", "unit")
    yield from _not_of(value, Direction, "a member of Direction", "direction")
    yield from _not_of(value, bool, "True or False", "per_class")
    if value.role is not None:
        yield from _not_of(value, Role, "a member of Role, or None", "role")
    bounds: Any = value.bounds
    if (
        not isinstance(bounds, (tuple, list))
        or len(bounds) != 2
        or not all(bound is None or isinstance(bound, (int, float)) for bound in bounds)
    ):
        yield "bounds", bounds, "a pair of numbers or None"
        return
    numbers = [bound for bound in bounds if bound is not None]
    # JSON has no infinite numbers, and what is compared is written as JSON.
    if not all(map(math.isfinite, numbers)):
        yield "bounds", bounds, "finite numbers; write None where unbounded"
    elif len(numbers) == 2 and numbers[0] >= numbers[1]:
        yield "bounds", bounds, "the least value before the greatest; write None where unbounded"


def _not_of(holder: object, kind: type, words: str, *names: str) -> Iterator[Wrong]:
    for name in names:
        found = getattr(holder, name)
        # True is a whole number to Python, and no number to anybody else.
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            yield name, found, words


def _not_all(holder: object, name: str, kind: type, words: str) -> Iterator[Wrong]:
    found = getattr(holder, name)
    if not isinstance(found, AbstractSet) or not all(isinstance(item, kind) for item in found):
        yield name, found, words


def _check_defense(spec: DefenseSpec, *, baseline: bool) -> None:
    if not spec.stages and not baseline:
        raise ValueError(
            f"stages of {spec.name} are empty: it would do nothing, expected members of "
            "DefenseStage"
        )
    if DefenseStage.REPAIR in spec.stages and spec.needs.access < Access.WEIGHTS:
        raise ValueError(
            f"{spec.name} is a repair with access {spec.needs.access.name}, but a repair is given "
            "the model: declare Needs(access=Access.WEIGHTS)"
        )
    if DefenseStage.FILTER in spec.stages and not spec.needs.training_data:
        raise ValueError(
            f"{spec.name} is a filter, but does not declare that it is given the training rows: "
            "declare Needs(training_data=True)"
        )
    if spec.stages == {DefenseStage.SCREEN} and spec.needs.training_data:
        raise ValueError(
            f"{spec.name} declares training_data, which a defense that only screens is never "
            "given: it acts on test rows"
        )
