"""Paraphrases from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import Examples, InputError, Task

__all__ = ["FileParaphrases"]

_COLUMNS = {
    "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    "label": (
        pa.types.is_integer,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
    ),
    "row": (pa.types.is_integer,),
}
_EXPECTED = "the columns text (text), label (a class's number or name) and row (a number)"


class FileParaphrases:
    """A parquet file with one paraphrase for each of some rows of a split.

    Args:
        path: The file.
        where: The setting that names it, for errors.

    Raises:
        InputError: It cannot be read, lacks a column or a value, or has two paraphrases of
            one row.
    """

    def __init__(self, path: Path, where: str) -> None:
        self._where = f"{where}: {path}"
        columns = self._columns(path)
        rows = columns["row"]
        repeated = [row for row, count in Counter(rows).items() if count > 1]
        if repeated:
            raise InputError(
                "a sentence has more than one paraphrase",
                where=self._where,
                found=f"{len(repeated)} such rows, for instance {repeated[0]}",
                expected="every number in the column row once",
                next="keep one paraphrase of each sentence",
            )
        self._known = {
            row: (text, label)
            for row, text, label in zip(rows, columns["text"], columns["label"], strict=True)
        }

    def __len__(self) -> int:
        """The number of paraphrases in the file."""
        return len(self._known)

    def texts(
        self,
        examples: Examples,
        task: Task,
        field: str,  # noqa: ARG002 -- the file goes by numbers of rows
        rows: Sequence[int],
    ) -> Iterator[str | None]:
        """The paraphrases of the rows at these positions, in this order; None for no paraphrase.

        Raises:
            InputError: Any of `examples`, also beyond `rows`, has another label than its
                paraphrase.
        """
        self._check(examples, task)
        for row in rows:
            found = self._known.get(examples.ids[row])
            yield None if found is None else found[0]

    def _check(self, examples: Examples, task: Task) -> None:
        """Compares labels, the one thing that shows if the numbers are those of other rows."""
        place = f"{self._where}: label"
        numbers = {
            label: task.class_index(label, where=place)
            for label in {label for _, label in self._known.values()}
        }
        matched = [
            (row, label, numbers[self._known[row][1]])
            for row, label in zip(examples.ids, examples.labels, strict=True)
            if row in self._known
        ]
        wrong = [item for item in matched if item[1] != item[2]]
        if wrong:
            row, label, other = wrong[0]
            raise InputError(
                "the paraphrases belong to another data set or split",
                where=self._where,
                found=f"{len(wrong)} of {len(matched)} rows with another label, for instance row "
                f"{row}: {other} ({task.classes[other]}) in the file, {label} "
                f"({task.classes[label]}) in the data set",
                expected="each sentence's own label, never the target's; rows numbered as in "
                "the source split, from 0",
                next="name the files that were made from this data set, train and test in "
                "their places",
            )

    def _columns(self, path: Path) -> dict[str, list[Any]]:
        try:
            # Not `read_table`, which would take columns from names of folders such as `row=1`.
            with pq.ParquetFile(path) as file:
                self._check_schema(file.schema_arrow)
                table = file.read(columns=list(_COLUMNS))
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                "the file cannot be read",
                where=self._where,
                found=f"{type(error).__name__}: {str(error).rstrip('.')}",
                expected=f"a parquet file with {_EXPECTED}",
                next="correct the path, or convert the file to parquet",
            ) from error
        for name in _COLUMNS:
            if table.column(name).null_count:
                raise InputError(
                    "values are missing",
                    where=f"{self._where}: {name}",
                    found=f"{table.column(name).null_count} empty values of {table.num_rows}",
                    expected="a value in every row",
                    next="leave out sentences without a paraphrase",
                )
        return {name: table.column(name).to_pylist() for name in _COLUMNS}

    def _check_schema(self, schema: pa.Schema) -> None:
        fits = [
            name in schema.names and any(holds(schema.field(name).type) for holds in kinds)
            for name, kinds in _COLUMNS.items()
        ]
        if not all(fits):
            raise InputError(
                "these are not paraphrases",
                where=self._where,
                found=", ".join(f"{item.name} ({item.type})" for item in schema) or "no columns",
                expected=_EXPECTED,
                next="write the file with these columns",
            )
