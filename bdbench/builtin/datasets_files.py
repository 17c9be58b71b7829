"""Data sets from files of the user's own: Parquet, CSV, TSV, JSON, JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from bdbench.api import Dataset, Examples, InputError, Splits
from bdbench.builtin.datasets_config import FilesConfig
from bdbench.builtin.datasets_tables import (
    Source,
    check_columns,
    needed_columns,
    rows_from_table,
    splits_from_tables,
)

__all__ = ["Files", "read_labelled"]


class Files(Dataset):
    """A text classification task from two or three files."""

    config: FilesConfig

    def load(self) -> Splits:
        """Reads the files."""
        config = self.config
        clean = None if config.clean is None else _read(config.clean, "clean", config)
        return splits_from_tables(
            _read(config.train, "train", config),
            _read(config.test, "test", config),
            clean,
            config,
            where="files",
        )


def read_labelled(path: Path, config: FilesConfig) -> Examples:
    """The rows of one file by themselves, labels numbered as ``config.classes`` says.

    Raises:
        InputError: The file or a label cannot be used.
    """
    source = _read(path, "clean", config)
    return rows_from_table(source, config)


def _read(path: Path, setting: str, config: FilesConfig) -> Source:
    where = f"files: {setting}: {path}"
    if not path.is_file():
        raise InputError(
            "there is no such file",
            where=where,
            found="a folder" if path.is_dir() else "nothing",
            expected=f"a file ({', '.join(_READERS)})",
            next=f"correct the path under `{setting}`",
        )
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            "not a format that can be read",
            where=where,
            found=path.suffix or "a name without an ending",
            expected=", ".join(_READERS),
            next="convert the file to one of these",
        )
    try:
        table = reader(path, config, where)
    # The last two: a number that Arrow has no room for, and brackets in brackets.
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(
            "the file cannot be read",
            where=where,
            found=f"{type(error).__name__}: {error}",
            expected=f"well-formed {path.suffix.lower()[1:]}",
            next="mend the file, or convert it to Parquet",
        ) from error
    return Source(table=table, where=where)


def _parquet(path: Path, config: FilesConfig, where: str) -> pa.Table:
    # Not `read_table`, which would take columns from names of folders such as `label=1`.
    with pq.ParquetFile(path) as file:
        check_columns(file.schema_arrow.names, config, where=where)
        return file.read(columns=needed_columns(config))


def _csv(path: Path, config: FilesConfig, where: str) -> pa.Table:
    parsing = pa_csv.ParseOptions(
        delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
    )
    with pa_csv.open_csv(path, parse_options=parsing) as head:
        check_columns(head.schema.names, config, where=where)
    texts = {config.text, config.text_pair} - {None, config.label}
    return pa_csv.read_csv(
        path,
        parse_options=parsing,
        convert_options=pa_csv.ConvertOptions(
            include_columns=needed_columns(config),
            # A text stays a text even where all of them look like numbers or dates.
            column_types={name: pa.string() for name in texts},
            strings_can_be_null=False,
        ),
    )


def _json(path: Path, config: FilesConfig, where: str) -> pa.Table:
    content = path.read_text(encoding="utf-8-sig")
    if content.lstrip().startswith("["):
        rows: list[Any] = json.loads(content)
    else:
        rows = [json.loads(line) for line in content.split("\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a row is not an object {column: value}")
    check_columns(list(dict.fromkeys(name for row in rows for name in row)), config, where=where)
    return pa.table({name: [row.get(name) for row in rows] for name in needed_columns(config)})


_READERS: dict[str, Callable[[Path, FilesConfig, str], pa.Table]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": _csv,
    ".json": _json,
    ".jsonl": _json,
}
