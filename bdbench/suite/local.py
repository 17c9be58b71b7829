"""A local copy in place of a data set that a suite names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bdbench.api.errors import InputError
from bdbench.home import expanded
from bdbench.suite.reader import Document
from bdbench.suite.schema import read_entry

__all__ = ["use_local_copy"]

ENDINGS = (".parquet", ".csv", ".tsv", ".jsonl", ".json")
KEPT = ("classes", "duplicates", "decode", "clean_share", "train_per_class")
"""Settings that mean the same for a local copy; columns and splits are named by convention."""


def use_local_copy(document: Document, text: str) -> None:
    """Puts the files of a folder in the place of a data set of the suite.

    The folder holds ``train``, ``test`` and, if there is a pool of clean rows, ``validation``
    (each .parquet, .csv, .tsv, .jsonl or .json) with the columns ``text``, for pairs also
    ``text_pair``, and ``label``. Classes and sampling stay as the suite says.

    Args:
        document: The suite; its data are changed.
        text: ``name=folder``, the name as in the suite's tables.

    Raises:
        InputError: The suite has no such data set, or the folder no such files.
    """
    name, equals, place = text.partition("=")
    where = f"--data {text}"
    items = document.data.get("datasets") if isinstance(document.data, dict) else None
    if not isinstance(items, list):
        return  # the suite does not fit, and is refused for that
    entries = [read_entry(document, ("datasets", index), item) for index, item in enumerate(items)]
    labels = [entry.label for entry in entries]
    if not equals or name not in labels:
        raise InputError(
            "a local copy does not fit",
            where=where,
            found=repr(name),
            expected=f"NAME=FOLDER, the name one of {', '.join(labels)}",
            next="see `bdbench show` for the suite's data sets",
        )
    folder = expanded(Path(place), where).absolute()
    files = {
        "train": _file(folder, "train", where),
        "test": _file(folder, "test", where),
        "clean": _file(folder, "validation", where, required=False),
    }
    old = entries[labels.index(name)].config
    settings: dict[str, Any] = {key: str(path) for key, path in files.items() if path}
    settings |= {key: old[key] for key in KEPT if key in old}
    if "text_pair" in old:
        settings["text_pair"] = "text_pair"
    items[labels.index(name)] = {"bdbench/files": settings, "name": name}


def _file(folder: Path, split: str, where: str, *, required: bool = True) -> Path | None:
    found = [path for ending in ENDINGS if (path := folder / f"{split}{ending}").is_file()]
    if len(found) > 1 or (required and not found):
        raise InputError(
            "the folder does not hold one file of each split",
            where=where,
            found=", ".join(path.name for path in found) or f"no {split} file in {folder}",
            expected=f"one of {', '.join(split + ending for ending in ENDINGS)}",
            next="name the folder that holds the splits",
        )
    return found[0] if found else None
