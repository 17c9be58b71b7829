"""Arrow tables as splits: what the sources `files`, `hub` and `sms-spam` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from bdbench.api import Examples, InputError, Splits, Task
from bdbench.builtin.datasets_config import TableConfig
from bdbench.toolkit.escapes import decoded
from bdbench.toolkit.rows import assemble, label_numbers, label_values

__all__ = ["Source", "check_columns", "needed_columns", "rows_from_table", "splits_from_tables"]


@dataclass(frozen=True, slots=True)
class Source:
    """One split as read.

    Attributes:
        table: At least the columns that `needed_columns` lists.
        where: The file or split, for errors.
    """

    table: pa.Table
    where: str


def needed_columns(config: TableConfig) -> list[str]:
    """The columns to read, each once."""
    pair = [] if config.text_pair is None else [config.text_pair]
    return list(dict.fromkeys([config.text, *pair, config.label]))


def check_columns(present: Sequence[str], config: TableConfig, *, where: str) -> None:
    """Refuses a source that lacks a column.

    Raises:
        InputError: It names the columns that there are, and the nearest.
    """
    settings = {"text": config.text, "text_pair": config.text_pair, "label": config.label}
    for setting, column in settings.items():
        if column is not None and column not in present:
            close = get_close_matches(column, present, n=1)
            raise InputError(
                f"there is no column {column!r}",
                where=where,
                found=f"the columns {', '.join(map(repr, present)) or 'none'}",
                expected=f"the column that `{setting}` names",
                next=f"set `{setting}: {close[0]}`" if close else f"set `{setting}` to one of them",
            )


def splits_from_tables(
    train: Source,
    test: Source,
    clean: Source | None,
    config: TableConfig,
    *,
    where: str,
    classes: Sequence[str] | None = None,
) -> Splits:
    """The splits of a text classification task from its tables.

    Whatever the columns are called, the inputs are named ``text`` and, for pairs,
    ``text_pair``. Ids number the rows of each table from 0.

    Args:
        train: Training rows.
        test: Test rows.
        clean: The pool for clean rows; None to hold it out of `train`.
        config: Columns, classes, sampling.
        where: The data set, for errors.
        classes: Class names that the source itself tells; those of `config` come first, but
            the source's labels then count them.

    Raises:
        InputError: Texts or labels are missing or of the wrong kind, or `assemble` refuses.
    """
    raw_train = _rows(train, config)
    names, numbers = label_values(
        raw_train.labels,
        config.classes or classes,
        where=f"{train.where}: {config.label}",
        counted=classes is not None,
    )
    task = Task(
        name="text-classification" if config.text_pair is None else "text-pair-classification",
        fields=tuple(raw_train.inputs),
        classes=names,
    )

    def numbered(rows: Examples, source: Source) -> Examples:
        place = f"{source.where}: {config.label}"
        return replace(rows, labels=label_numbers(rows.labels, numbers, where=place))

    return assemble(
        task,
        numbered(raw_train, train),
        numbered(_rows(test, config), test),
        None if clean is None else numbered(_rows(clean, config), clean),
        where=where,
        duplicates=config.duplicates,
        clean_share=config.clean_share,
        train_per_class=config.train_per_class,
    )


def rows_from_table(source: Source, config: TableConfig) -> Examples:
    """The rows of one table, labels numbered by ``config.classes``.

    Raises:
        InputError: Texts or labels are missing, of the wrong kind, or not a class.
    """
    rows = _rows(source, config)
    place = f"{source.where}: {config.label}"
    _, numbers = label_values(rows.labels, config.classes, where=place)
    return replace(rows, labels=label_numbers(rows.labels, numbers, where=place))


def _rows(source: Source, config: TableConfig) -> Examples:
    inputs = {"text": _texts(source, config.text)}
    if config.text_pair is not None:
        inputs["text_pair"] = _texts(source, config.text_pair)
    if config.decode:
        inputs = {name: list(map(decoded, texts)) for name, texts in inputs.items()}
    labels = _labels(source, config.label)
    return Examples(inputs=inputs, labels=labels, ids=list(range(len(labels))))


def _texts(source: Source, name: str) -> list[Any]:
    column = _column(source, name)
    if not _is_text(column.type):
        raise InputError(
            "a text column holds something else",
            where=f"{source.where}: {name}",
            found=str(column.type),
            expected="text (string)",
            next="name another column, or convert this one to text",
        )
    return _complete(column, source, name)


def _labels(source: Source, name: str) -> list[Any]:
    column = _column(source, name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_text(kind)):
        raise InputError(
            "a label column holds neither numbers of classes nor names",
            where=f"{source.where}: {name}",
            found=str(column.type),
            expected="integers, true and false, or text",
            next="name another column, or convert this one to integers or text",
        )
    # A row without an answer has no class of its own; CSV says "" where others say null.
    values = _complete(column, source, name, missing=("", None))
    return [int(value) for value in values] if pa.types.is_boolean(kind) else values


def _column(source: Source, name: str) -> pa.ChunkedArray:
    return source.table.column(name)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _complete(
    column: pa.ChunkedArray, source: Source, name: str, missing: tuple[str | None, ...] = (None,)
) -> list[Any]:
    values: list[Any] = column.to_pylist()
    empty = [row for row, value in enumerate(values) if value in missing]
    if empty:
        raise InputError(
            "values are missing",
            where=f"{source.where}: {name}",
            found=f"{len(empty)} empty values of {len(values)}, the first in row {empty[0]}",
            expected="a value in every row",
            next="fill or remove these rows in the source",
        )
    return values
