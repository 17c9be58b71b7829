"""What data sets keep to."""

from __future__ import annotations

from bdbench.api import DatasetSpec, Examples
from bdbench.testing.acts_others import DatasetRun
from bdbench.testing.check import check
from bdbench.testing.subject import Subject
from bdbench.testing.traces import fingerprint


def _splits(subject: Subject) -> dict[str, Examples]:
    run: DatasetRun = subject.first.run
    return {name: getattr(run.splits, name) for name in ("train", "test", "clean")}


@check("dataset")
def rows_fit_the_task(subject: Subject) -> None:
    """Rows have the task's columns and labels that are classes; ids are unique in a split."""
    run: DatasetRun = subject.first.run
    task = run.splits.task
    spec = subject.spec
    if isinstance(spec, DatasetSpec) and spec.task not in {"", task.name}:
        subject.fail("the task is not the declared one", found=task.name, expected=spec.task)
    if not subject.spec.works_for(task.name):
        subject.fail("the task is not among those of the spec", found=task.name)
    for name, rows in _splits(subject).items():
        if not len(rows):
            subject.fail(f"the split {name} is empty")
        lacking = set(task.fields) - set(rows.inputs)
        if lacking:
            subject.fail(f"the split {name} lacks columns", found=", ".join(sorted(lacking)))
        if len(set(rows.ids)) < len(rows):
            subject.fail(f"two rows of {name} have the same id")
        strange = [label for label in rows.labels if label not in range(len(task.classes))]
        if task.classes and strange:
            subject.fail(f"a label of {name} is no class", found=repr(strange[0]))


@check("dataset")
def splits_share_no_row(subject: Subject) -> None:
    """No row stands in two of train, test and clean."""
    seen: dict[str, str] = {}
    for name, rows in _splits(subject).items():
        for row in range(len(rows)):
            key = fingerprint(rows.row(row))
            if seen.setdefault(key, name) != name:
                subject.fail(
                    f"a row of {name} also stands in {seen[key]}",
                    found=f"row {rows.ids[row]}",
                    expected="splits that share none: what is tested must not have been trained on",
                )
