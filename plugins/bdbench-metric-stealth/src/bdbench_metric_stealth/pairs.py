"""The texts that a trigger changed, row by row."""

from __future__ import annotations

from bdbench.api import AttackEvidence, Examples, InputError

__all__ = ["Pair", "changed_pairs"]

Pair = tuple[str, str]
"""A text without the trigger, and the same with it."""


def changed_pairs(evidence: AttackEvidence, max_rows: int) -> list[list[Pair]]:
    """For each row that is measured the texts that differ; none if the row is as it was.

    Rows come in the order of their ids; of more than `max_rows`, those at the places
    ``floor(k * n / max_rows)``. So neither choice nor order depends on how rows were given.

    Raises:
        InputError: There are no rows, the tables hold other rows, or a field is not text.
    """
    before, after = (_places(table) for table in (evidence.before, evidence.after))
    if not before or before.keys() != after.keys():
        raise InputError(
            "the test rows with and without the trigger cannot be compared",
            where="stealth",
            found=f"{len(before)} rows without and {len(after)} with it, "
            f"{len(before.keys() & after.keys())} of them the same",
            expected="the same rows in both, at least one",
            next="use a test set with rows of other classes than the target",
        )
    ids = sorted(before)
    count = min(len(ids), max_rows)
    return [
        [
            (old, new)
            for field in evidence.task.fields
            for old in [_text(evidence.before, field, before[row], row)]
            for new in [_text(evidence.after, field, after[row], row)]
            if old != new
        ]
        for row in (ids[number * len(ids) // count] for number in range(count))
    ]


def _places(table: Examples) -> dict[int, int]:
    return {row: place for place, row in enumerate(table.ids)}


def _text(table: Examples, field: str, place: int, row: int) -> str:
    value = table.inputs[field][place]
    if not isinstance(value, str):
        raise InputError(
            "only texts can be compared",
            where=f"stealth: column {field!r}, row {row}",
            found=f"a value of type {type(value).__name__}",
            expected="text",
            next="clean the column, or leave the metric out",
        )
    return value
