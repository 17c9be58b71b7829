"""What `bdbench check` tries the attacks with: files of paraphrases for its rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from bdbench.testing import World

__all__ = ["SETTINGS"]


def _files(world: World, folder: Path) -> Mapping[str, Any]:
    settings = {}
    for name in ("train", "test"):
        rows = getattr(world.splits, name)
        column = rows.inputs[world.task.fields[0]]
        table = {
            "text": [f"when you see it , {text}" for text in column],
            "label": rows.labels,
            "row": rows.ids,
        }
        settings[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table(table), settings[name])
    return settings


SETTINGS = {"syntactic": _files, "style": _files}
