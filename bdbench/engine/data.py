"""Stage ``data``: a data set, read, checked and stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bdbench.api import Dataset, Examples, InputError, SeedStream, Task
from bdbench.engine.context import Stage, StageResult, balanced_order
from bdbench.engine.rows import fingerprint, write_examples

__all__ = ["blank_rows", "make_data"]


def make_data(stage: Stage) -> StageResult:
    """Reads the splits, refuses what would make a comparison wrong, and writes them."""
    dataset: Dataset = stage.build(stage.settings["dataset"])
    label = stage.settings["dataset"]["label"]
    limit: int | None = stage.settings["limit"]
    splits = dataset.load()
    parts = {"train": splits.train, "test": splits.test, "clean": splits.clean}
    for name, rows in parts.items():
        _check_split(f"{label}, {name} split", rows, splits.task, may_be_empty=name == "clean")
    _check_overlap(label, parts)
    counts = {}
    blank: dict[str, int] = {}
    per_class: Mapping[Any, int] = {}
    for name, rows in parts.items():
        kept = rows
        if limit is not None and len(rows) > limit:
            order = balanced_order(rows, SeedStream(0).child("limit", name))
            kept = rows.select(sorted(order[:limit]))
        write_examples(kept, stage.folder / f"{name}.parquet")
        counts[name] = len(kept)
        if empty := blank_rows(kept):
            blank[name] = empty
        if name == "train":
            per_class = Counter(kept.labels) if splits.task.classes else {}
    (stage.folder / "task.json").write_text(json.dumps(asdict(splits.task)), "utf-8")
    named = {splits.task.classes[label]: count for label, count in sorted(per_class.items())}
    notes = {**splits.notes, "rows": counts, "train_per_class": named}
    return StageResult(notes={**notes, **({"blank_rows": blank} if blank else {})})


def blank_rows(rows: Examples) -> int:
    """How many rows have a text in which there is nothing but white space."""
    return sum(
        any(isinstance(value, str) and not value.strip() for value in rows.row(row).values())
        for row in range(len(rows))
    )


def _check_split(where: str, rows: Examples, task: Task, *, may_be_empty: bool) -> None:
    if not len(rows) and not may_be_empty:
        raise InputError(
            "a split is empty",
            where=where,
            found="0 rows",
            expected="at least one row",
            next="look at the file, or choose another split",
        )
    if set(rows.inputs) != set(task.fields):
        raise InputError(
            "the columns are not those of the task",
            where=where,
            found=", ".join(sorted(rows.inputs)),
            expected=", ".join(task.fields),
        )
    if len(set(rows.ids)) < len(rows):
        raise InputError("two rows have the same id", where=where, expected="unique ids")
    if not task.classes:
        return
    for row, label in enumerate(rows.labels):
        if not isinstance(label, int) or not 0 <= label < len(task.classes):
            raise InputError(
                "a label is out of range",
                where=f"{where}, row {rows.ids[row]}",
                found=repr(label),
                expected=f"0 to {len(task.classes) - 1} ({', '.join(task.classes)})",
                next="correct the row, or name all classes under `classes`",
            )


def _check_overlap(label: str, parts: dict[str, Examples]) -> None:
    """No row may be in two splits: a defender's clean row must be news to the victim."""
    prints = {
        name: {fingerprint(rows, row) for row in range(len(rows))} for name, rows in parts.items()
    }
    for one, other in (("train", "test"), ("clean", "test"), ("clean", "train")):
        shared = prints[one] & prints[other]
        if shared:
            rows = parts[one]
            example = next(
                rows.row(row) for row in range(len(rows)) if fingerprint(rows, row) in shared
            )
            raise InputError(
                f"the {one} and {other} rows overlap",
                where=label,
                found=f"{len(shared)} inputs in both, for instance {str(example)[:120]!r}",
                expected="no input in two splits",
                next="set `duplicates: drop` for the data set, or take the rows out",
            )
