"""Data sets of the Hugging Face Hub, at a fixed revision and from Parquet files only."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import datasets
from datasets.exceptions import DatasetsError

from bdbench.api import Dataset, InputError, Splits
from bdbench.builtin.datasets_config import HubDatasetConfig
from bdbench.builtin.datasets_tables import (
    Source,
    check_columns,
    needed_columns,
    splits_from_tables,
)
from bdbench.builtin.sources import hub_access

__all__ = ["HubDataset"]


class HubDataset(Dataset):
    """A text classification task from the Hub. No code of the data set's authors is run."""

    config: HubDatasetConfig

    def load(self) -> Splits:
        """Downloads what is not in the cache of `datasets`, and reads it from there."""
        config = self.config
        where = f"hub: {config.name}@{config.revision}"
        if Path(config.name).exists():
            raise InputError(
                "a folder on this machine has the name of the data set, and would be read instead",
                where=where,
                found=f"the folder {Path(config.name).resolve()}",
                expected="a name that only the Hub knows",
                next="run bdbench in another folder, or use `files` for the local data",
            )
        with hub_access("data set", config.name, config.revision):
            try:
                builder = datasets.load_dataset_builder(
                    config.name, config.subset, revision=config.revision
                )
                origins = _parquet_files(builder, where)
                builder.download_and_prepare()
            except OSError:  # the Hub's, which some of the errors below also are
                raise
            except (DatasetsError, ValueError) as error:
                raise InputError(
                    "the data set cannot be read as asked",
                    where=where,
                    found=str(error),
                    expected="a subset of it, in well-formed Parquet files",
                    next="set `subset` to one of those listed",
                ) from error
        train = _split(builder, config.train, "train", config, where)
        splits = splits_from_tables(
            train,
            _split(builder, config.test, "test", config, where),
            None if config.clean is None else _split(builder, config.clean, "clean", config, where),
            config,
            where=where,
            classes=_class_names(builder, config),
        )
        return replace(splits, notes={**splits.notes, "commits": _commits(origins)})


def _parquet_files(builder: datasets.DatasetBuilder, where: str) -> list[str]:
    splits: dict[str, list[Any]] = builder.config.data_files or {}
    found = [str(file) for group in splits.values() for file in group]
    others = [file for file in found if not file.endswith(".parquet")]
    if others or not found:
        raise InputError(
            "the data set is not stored as Parquet",
            where=where,
            found=others[0] if others else "no data files",
            expected="Parquet files, which hold data and nothing that runs",
            next="set `revision` to a commit of its branch refs/convert/parquet, if it has one,"
            " or convert the data and use `files`",
        )
    return found


def _commits(origins: list[str]) -> list[str]:
    """What the revision stood for, since a tag can be moved."""
    found = (re.match(r"hf://datasets/[^@]+@([0-9a-f]{40})/", origin) for origin in origins)
    return sorted({match[1] for match in found if match})


def _split(
    builder: datasets.DatasetBuilder, name: str, setting: str, config: HubDatasetConfig, where: str
) -> Source:
    present = list(builder.info.splits or {})
    if name not in present:
        close = get_close_matches(name, present, n=1)
        raise InputError(
            f"there is no split {name!r}",
            where=where,
            found=f"the splits {', '.join(present)}",
            expected=f"the split that `{setting}` names",
            next=f"set `{setting}: {close[0]}`" if close else f"set `{setting}` to one of them",
        )
    rows = builder.as_dataset(name)
    place = f"{where}: {name}"
    check_columns(rows.column_names, config, where=place)
    return Source(
        table=rows.select_columns(needed_columns(config)).with_format("arrow")[:], where=place
    )


def _class_names(builder: datasets.DatasetBuilder, config: HubDatasetConfig) -> list[str] | None:
    feature = (builder.info.features or {}).get(config.label)
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None
