"""What metrics keep to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from bdbench.api import MetricSpec, MetricValue, Task
from bdbench.api import Subject as Measured
from bdbench.testing.acts_others import MetricRun
from bdbench.testing.check import CheckSkipped, check
from bdbench.testing.evidence import permuted
from bdbench.testing.subject import Subject

ROUNDING = 1e-9


def _run(subject: Subject) -> MetricRun:
    found: MetricRun = subject.first.run
    return found


def _declared(subject: Subject, task: Task) -> dict[str, MetricValue]:
    """The values by name, those for each class one by one."""
    spec = subject.spec
    found: dict[str, MetricValue] = {}
    for value in spec.values if isinstance(spec, MetricSpec) else ():
        classes = range(len(task.classes))
        names = (
            [f"{value.name}.{number}" for number in classes] if value.per_class else [value.name]
        )
        found |= dict.fromkeys(names, value)
    return found


def _numbers(run: MetricRun) -> Iterator[tuple[str, str, float]]:
    """Case, name and number of each value that is one."""
    for case, values in run.values.items():
        for name, value in values.items():
            if value is not None:
                yield case, name, float(value)


@check("metric")
def gives_what_it_declares(subject: Subject) -> None:
    """For every evidence it gives exactly the values that its spec lists."""
    run = _run(subject)
    for case, values in run.values.items():
        declared = set(_declared(subject, run.cases[case].task))
        if set(values) != declared:
            wrong = sorted(set(values) ^ declared)
            subject.fail(
                "the values are not those of the spec",
                found=f"for {case}: {', '.join(wrong)} on one side only",
                expected="all of them each time, None where one does not apply",
            )


@check("metric")
def nan_policy(subject: Subject) -> None:
    """A value is a finite number, or None where it does not apply; never NaN or infinity."""
    for case, name, value in _numbers(_run(subject)):
        if not math.isfinite(value):
            subject.fail(
                f"{name} is not finite",
                found=f"{value} for {case}",
                expected="a finite number, or None where the value does not apply",
            )


@check("metric")
def within_bounds(subject: Subject) -> None:
    """Every value lies within the bounds that its spec names."""
    run = _run(subject)
    for case, name, value in _numbers(run):
        declared = _declared(subject, run.cases[case].task)
        if name not in declared or not math.isfinite(value):
            continue
        low, high = declared[name].bounds
        if (low is not None and value < low - ROUNDING) or (
            high is not None and value > high + ROUNDING
        ):
            subject.fail(
                f"{name} is out of its bounds",
                found=f"{value} for {case}",
                expected=f"{low} to {high}",
            )


@check("metric")
def permutation_invariant(subject: Subject) -> None:
    """The order of the rows does not matter."""
    run = _run(subject)
    for case, evidence in run.cases.items():
        for seed in (1, 2):
            found = run.metric.measure(permuted(evidence, seed))
            for name, value in run.values[case].items():
                if not _close(value, found.get(name)):
                    subject.fail(
                        f"{name} depends on the order of the rows",
                        found=f"{value}, then {found.get(name)}, for {case}",
                        expected="the same value",
                    )


def _close(one: float | None, other: Any, tolerance: float = 1e-6) -> bool:
    if one is None or other is None:
        return one is other
    if not (math.isfinite(one) and math.isfinite(other)):
        return not (math.isfinite(one) or math.isfinite(other))
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)


@check("metric", when=lambda spec: spec.subject is Measured.CELL)
def rows_mean_is_value(subject: Subject) -> None:
    """Where a value is given row by row, its mean over the rows is the value."""
    run = _run(subject)
    given = 0
    for case, rows in run.rows.items():
        for name, found in rows.items():
            given += 1
            value = run.values[case].get(name)
            mean = float(found.values.mean()) if len(found.values) else None
            if len(found.ids) != len(found.values):
                subject.fail(f"{name} has not one id for each row", found=case)
            if value is None or mean is None or not math.isclose(mean, value, abs_tol=ROUNDING):
                subject.fail(
                    f"the rows of {name} do not have its value as their mean",
                    found=f"{mean} over {len(found.values)} rows, and {value}, for {case}",
                    expected="the same; no rows where the value does not apply",
                )
    if not given:
        raise CheckSkipped("it gives no values row by row")


@check("metric")
def known_values(subject: Subject) -> None:
    """For the cases that its author supplies, it gives the values that they name."""
    if not subject.known:
        raise CheckSkipped(f"no cases are supplied: see KNOWN_VALUES, {subject.supplied.place}")
    run = _run(subject)
    for case in subject.known:
        for name, value in case.values.items():
            found = run.values[case.name].get(name)
            if not _close(value, found, case.tolerance):
                subject.fail(
                    f"{name} is not what is known for {case.name!r}",
                    found=f"{found}",
                    expected=f"{value}",
                )
