"""From columns as read to splits as used: labels, duplicates, held-out rows, samples.

Every choice of rows goes by a rank that each row has from its id alone. So the same rows are
taken on every machine, a smaller sample is part of a larger one, and taking a row out leaves
the choice among the others as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal

from bdbench.api import Examples, InputError, SeedStream, Splits, Task
from bdbench.api.data import class_numbers

__all__ = [
    "Duplicates",
    "assemble",
    "hold_out",
    "label_numbers",
    "label_values",
    "sample_per_class",
]

Duplicates = Literal["error", "drop"]

# Part of what a data set *is*: another number here gives other rows.
_RANKS = SeedStream(0, ("bdbench.toolkit.rows",))


def label_values(
    train_labels: Sequence[int | str],
    classes: Sequence[str] | None,
    *,
    where: str,
    counted: bool = False,
) -> tuple[tuple[str, ...], dict[int | str, int]]:
    """The names of the classes, and the class number that each value of a label stands for.

    With `classes`, a label is either a name among them or a number that counts them from 0; if
    any of them has a number for its name, every number is a name. Without, the classes are the
    distinct training labels in ascending order.

    Args:
        train_labels: As they stand in the training rows.
        classes: The names, in the order of their numbers; None to find them.
        where: For errors.
        counted: Whether the source says that its numbers count the classes, whatever these
            are called.

    Raises:
        InputError: There are fewer than two classes.
    """
    if classes is not None:
        names = tuple(classes)
        positions: dict[int | str, int] = {number: number for number in range(len(names))}
        numbers = class_numbers(names)
        if counted:
            numbers |= positions
    else:
        # Sorting needs one kind of value; a column of a table holds no other.
        values = sorted(set(train_labels), key=lambda value: (isinstance(value, str), value))
        names = tuple(str(value) for value in values)
        numbers = {value: number for number, value in enumerate(values)}
    if len(names) < 2:
        raise InputError(
            "too few classes",
            where=where,
            found=f"the classes {list(names)}",
            expected="at least two",
            next="check which column `label` names",
        )
    return names, numbers


def label_numbers(
    labels: Sequence[int | str], numbers: Mapping[int | str, int], *, where: str
) -> list[int]:
    """The class number of each label, by the table that `label_values` made.

    Raises:
        InputError: A label stands for no class.
    """
    unknown = [row for row, label in enumerate(labels) if label not in numbers]
    if not unknown:
        return [numbers[label] for label in labels]
    label = labels[unknown[0]]
    names = [value for value in numbers if isinstance(value, type(label))]
    close = get_close_matches(str(label), [str(name) for name in names], n=1)
    if label == -1:
        # The mark that public benchmarks put on rows whose answers they keep back.
        hint = "-1 marks rows without an answer: name a split that has labels"
    elif str(label) in map(str, numbers):
        hint = "write labels the same way in every split, all as numbers or all as text"
    elif close:
        hint = f"write {close[0]!r} in row {unknown[0]}, or name every class under `classes`"
    else:
        hint = "name every class under `classes`, in the order of their numbers, or mend the rows"
    raise InputError(
        "a label stands for no class",
        where=where,
        found=f"{label!r} in row {unknown[0]} ({len(unknown)} such rows)",
        expected=f"one of {_listed(numbers)}",
        next=hint,
    )


def sample_per_class(
    examples: Examples, task: Task, counts: Mapping[str, int], *, where: str
) -> Examples:
    """So many rows of each class that `counts` names, and all rows of the others.

    Raises:
        InputError: A name is not a class, or a class has fewer rows.
    """
    wanted = {
        task.class_index(name, where=f"{where}: train_per_class"): count
        for name, count in counts.items()
    }
    kept: list[int] = []
    for number, name in enumerate(task.classes):
        rows = [row for row, label in enumerate(examples.labels) if label == number]
        count = wanted.get(number, len(rows))
        if count > len(rows):
            raise InputError(
                "a class has too few training rows",
                where=where,
                found=f"{len(rows)} rows of {name!r}",
                expected=f"at least {count}, as train_per_class asks",
                next=f"set train_per_class: {{{name}: {len(rows)}}} or less",
            )
        kept += _ranked(examples, rows, "sample")[:count]
    return examples.select(sorted(kept))


def hold_out(
    examples: Examples, share: float, fields: Sequence[str], *, where: str
) -> tuple[Examples, Examples]:
    """Divides rows in two: the rest, and ``round(share * n)`` rows held out of them.

    Only rows whose inputs occur once are held out, so that the two parts share none.

    Raises:
        InputError: One of the parts would be empty.
    """
    keys = _keys(examples, fields)
    occurrences = Counter(keys)
    single = [row for row, key in enumerate(keys) if occurrences[key] == 1]
    count = round(share * len(examples))
    if not 0 < count <= len(single) or count == len(examples):
        raise InputError(
            "no clean rows can be held out of the training rows",
            where=where,
            found=f"{count} rows to hold out (clean_share {share}), {len(single)} of the"
            f" {len(examples)} rows occurring once",
            expected="at least one row on either side",
            next="name a `clean` split of its own, or set another clean_share",
        )
    held = set(_ranked(examples, single, "clean")[:count])
    rest = [row for row in range(len(examples)) if row not in held]
    return examples.select(rest), examples.select(sorted(held))


def assemble(
    task: Task,
    train: Examples,
    test: Examples,
    clean: Examples | None,
    *,
    where: str,
    duplicates: Duplicates = "error",
    clean_share: float = 0.1,
    train_per_class: Mapping[str, int] | None = None,
) -> Splits:
    """Splits that share no row, sampled as asked, with notes on what was dropped or held out.

    Args:
        task: Its fields say which inputs make two rows the same.
        train: All training rows, with ids.
        test: All test rows, with ids.
        clean: All rows that a defender may be given; None to hold them out of `train`.
        where: The data set, for errors.
        duplicates: What to do about rows that stand in two splits: refuse them, or drop them
            from train and clean (from clean, where they stand in these two).
        clean_share: The share of the training rows that is held out if `clean` is None.
        train_per_class: How many training rows of a class to keep, see `sample_per_class`.

    Raises:
        InputError: Rows stand in two splits, a split is empty or too small.
    """
    notes: dict[str, Any] = {}
    given = {"train": train, "test": test} | ({} if clean is None else {"clean": clean})
    _refuse_empty(given, "no rows in the source", where)
    dropped: dict[str, int] = {}

    def part(rows: Examples, name: str, other: Examples, other_name: str) -> Examples:
        shared = _shared(rows, other, task.fields)
        if not shared:
            return rows
        if duplicates == "error":
            raise _duplicates_error(rows, shared, name, other_name, where)
        dropped[f"{name} rows that stand in {other_name}"] = len(shared)
        gone = set(shared)
        return rows.select([row for row in range(len(rows)) if row not in gone])

    train = part(train, "train", test, "test")
    _refuse_empty({"train": train}, "only rows that also stand in test", where)
    if clean is None:
        train, clean = hold_out(train, clean_share, task.fields, where=where)
        notes["clean_pool"] = f"{len(clean)} rows held out of train (clean_share {clean_share})"
    else:
        clean = part(part(clean, "clean", test, "test"), "clean", train, "train")
        notes["clean_pool"] = "a split of its own"
    if dropped:
        notes["dropped_duplicates"] = dropped
    _refuse_empty({"clean": clean}, "only rows that also stand in train or test", where)
    if train_per_class is not None:
        train = sample_per_class(train, task, train_per_class, where=where)
    return Splits(task=task, train=train, test=test, clean=clean, notes=notes)


def _ranked(examples: Examples, rows: Sequence[int], purpose: str) -> list[int]:
    ranks = _RANKS.child(purpose)
    return sorted(rows, key=lambda row: ranks.child(examples.ids[row]).seed())


def _keys(examples: Examples, fields: Sequence[str]) -> list[Hashable]:
    return list(zip(*(examples.inputs[name] for name in fields), strict=True))


def _shared(rows: Examples, other: Examples, fields: Sequence[str]) -> list[int]:
    theirs = set(_keys(other, fields))
    return [row for row, key in enumerate(_keys(rows, fields)) if key in theirs]


def _duplicates_error(
    rows: Examples, shared: Sequence[int], name: str, other: str, where: str
) -> InputError:
    first = shared[0]
    shown = ", ".join(_shortened(value) for value in rows.row(first).values())
    return InputError(
        f"rows of {name} also stand in {other}",
        where=where,
        found=f"{len(shared)} of {len(rows)}, for instance row {rows.ids[first]}: {shown}",
        expected="no row in two splits",
        next=f"set `duplicates: drop`, which takes them out of {name} and notes how many",
    )


def _refuse_empty(splits: Mapping[str, Examples], found: str, where: str) -> None:
    for name, examples in splits.items():
        if not len(examples):
            raise InputError(
                f"the {name} split has no rows to use",
                where=where,
                found=found,
                expected="at least one",
                next=f"name another source for {name}",
            )


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _listed(numbers: Mapping[int | str, int]) -> str:
    values = [repr(value) for value in numbers]
    return ", ".join(values[:20]) + (", ..." if len(values) > 20 else "")
