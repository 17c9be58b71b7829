"""Tasks and examples: what victims are trained for and what they are trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from bdbench.api.errors import InputError

__all__ = ["Examples", "Splits", "Task", "class_numbers"]


def class_numbers(classes: Sequence[str]) -> dict[int | str, int]:
    """The class that each name, and each number, stands for.

    A number counts the classes from 0, unless any of them has a number for its name: then every
    number is a name. With the classes 1 and 2, what is called 1 is not what comes after 0.
    """
    found: dict[int | str, int] = {name: index for index, name in enumerate(classes)}
    numbers = {int(name): found[name] for name in classes if _NUMBER.fullmatch(name)}
    return found | (numbers or {index: index for index in range(len(classes))})


_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Task:
    """What a data set asks of a model. The set of tasks is open: any name may be used.

    Attributes:
        name: For instance ``text-classification`` or ``text-pair-classification``.
            Components list the names that they work for.
        fields: The input columns of an example, in the order in which a model reads them.
        classes: The class names by label; empty where the answer is not a class.
    """

    name: str
    fields: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def class_index(self, value: int | str, *, where: str = "target") -> int:
        """The label that a class name or number stands for.

        A number counts the classes from 0; where classes have numbers for names, it is a name.

        Raises:
            InputError: The task has no such class.
        """
        numbers = class_numbers(self.classes)
        # `True` would be found as 1.
        if isinstance(value, int | str) and not isinstance(value, bool) and value in numbers:
            return numbers[value]
        counted = not any(str(key) in numbers for key in numbers if isinstance(key, int))
        listed = ", ".join(
            f"{index} ({name})" if counted else name for index, name in enumerate(self.classes)
        )
        close = get_close_matches(str(value), self.classes, n=1)
        raise InputError(
            "not a class of this task",
            where=where,
            found=repr(value),
            expected=f"one of {listed}" if listed else "nothing: the task has no classes",
            next=f"write {close[0]!r}" if close else "use one of these names or numbers",
        )

    def input_field(self, name: str | None, *, where: str = "field") -> str:
        """The input column of this name; the first if there is none.

        Raises:
            InputError: The task has no such column.
        """
        if name is None:
            return self.fields[0]
        if name not in self.fields:
            raise InputError(
                "the task has no such input column",
                where=where,
                found=repr(name),
                expected=f"one of {', '.join(self.fields)}",
                next="use one of these names, or leave it out",
            )
        return name


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of one split, by column. Never changed in place: every method returns a new object.

    Attributes:
        inputs: The columns that a model reads, by field name; each as long as `labels`.
            Elements are whatever the task's models take: str, bytes, numpy arrays.
        labels: The answer of each row; class numbers in a classification task.
        ids: A number for each row that stays with it through selection, poisoning and
            screening. Unique within a split.
    """

    inputs: Mapping[str, Sequence[Any]]
    labels: Sequence[Any]
    ids: Sequence[int]

    def __post_init__(self) -> None:
        """Refuses columns of unequal length."""
        lengths = {name: len(column) for name, column in self.inputs.items()}
        lengths |= {"labels": len(self.labels), "ids": len(self.ids)}
        if len(set(lengths.values())) > 1:
            raise InputError(
                "the columns of a set of examples differ in length", found=str(lengths)
            )

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.labels)

    def select(self, rows: Sequence[int]) -> Examples:
        """The rows at these positions, in this order."""
        return Examples(
            inputs={name: [column[row] for row in rows] for name, column in self.inputs.items()},
            labels=[self.labels[row] for row in rows],
            ids=[self.ids[row] for row in rows],
        )

    def with_input(self, name: str, values: Sequence[Any]) -> Examples:
        """The same rows with one input column replaced."""
        return replace(self, inputs={**self.inputs, name: values})

    def with_labels(self, labels: Sequence[Any]) -> Examples:
        """The same rows with other answers."""
        return replace(self, labels=labels)

    def row(self, position: int) -> dict[str, Any]:
        """The inputs of one row, by field."""
        return {name: column[position] for name, column in self.inputs.items()}

    def __add__(self, other: Examples) -> Examples:
        """The rows of both, these first. The caller sees to it that ids stay unique."""
        return Examples(
            inputs={name: [*self.inputs[name], *other.inputs[name]] for name in self.inputs},
            labels=[*self.labels, *other.labels],
            ids=[*self.ids, *other.ids],
        )


@dataclass(frozen=True, slots=True)
class Splits:
    """A data set, ready for use.

    Attributes:
        task: What it asks.
        train: What the victim is trained on (and the attacker may poison).
        test: What every metric is computed on. Nobody but the host sees it.
        clean: The pool from which a defender's clean rows are drawn; shares no row with the
            other two.
        notes: What was done on the way (rows dropped, sampling), for the record.
    """

    task: Task
    train: Examples
    test: Examples
    clean: Examples
    notes: Mapping[str, Any] = field(default_factory=dict)
