"""Stage ``predictions``: what a (defended) model says of every row of a test set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import ABSTAIN, Examples, InputError, Predictions, Screening
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.defending import build_defense, make_view
from bdbench.engine.torch_engine import TorchEngine

__all__ = ["FILE", "make_predictions", "read_predictions"]

FILE = "predictions.parquet"
COLUMN = "output."


def make_predictions(stage: Stage) -> StageResult:
    """Screens the rows, asks the model, and writes one line per row.

    Columns: ``id``, ``label``, ``rejected``, ``score`` (null without a screen) and
    ``output.<column>`` for what the model said.
    """
    role = "triggered" if "triggered" in stage.inputs else "data"
    rows = stage.rows(role, "triggered" if role == "triggered" else "test")
    checkpoint = stage.checkpoint("model")
    rejected = np.zeros(len(rows), dtype=bool)
    scores: np.ndarray[Any, Any] | None = None
    notes: dict[str, Any] = {}
    seen = rows
    for index, part in enumerate(stage.settings["screens"]):
        defense, needs = build_defense(stage, part)
        workspace = stage.scratch / f"screen-{index}"
        workspace.mkdir()
        view = make_view(stage, part, needs, workspace, checkpoint)
        # A screen stands before the model: it has the inputs and nothing else.
        blind = seen.with_labels([None] * len(seen))
        screening: Screening = defense.screen(blind, view)
        _check_screening(part["label"], blind, screening)
        seen = screening.examples
        rejected |= np.asarray(screening.rejected, dtype=bool)
        latest = np.asarray(screening.scores, dtype=np.float64)
        scores = latest if scores is None else np.maximum(scores, latest)
        notes[part["label"]] = dict(screening.notes)
    engine = TorchEngine(stage.model, stage.precision, stage.meter)
    outputs = dict(engine.predict(engine.load(checkpoint), checkpoint, seen))
    if "prediction" in outputs:
        outputs["prediction"] = np.where(rejected, ABSTAIN, outputs["prediction"])
    _write(stage.folder / FILE, rows, outputs, rejected, scores)
    return StageResult(notes=notes)


def read_predictions(folder: Path) -> Predictions:
    """Reads what the stage wrote."""
    table = pq.read_table(folder / FILE)
    scores = table.column("score")
    return Predictions(
        ids=table.column("id").to_numpy(),
        labels=np.asarray(table.column("label").to_pylist()),
        columns={
            name.removeprefix(COLUMN): _array(table.column(name))
            for name in table.column_names
            if name.startswith(COLUMN)
        },
        rejected=table.column("rejected").to_numpy(),
        scores=None if scores.null_count == len(scores) else scores.to_numpy(),
    )


def _write(
    path: Path,
    rows: Examples,
    outputs: dict[str, np.ndarray[Any, Any]],
    rejected: np.ndarray[Any, Any],
    scores: np.ndarray[Any, Any] | None,
) -> None:
    columns = {
        "id": pa.array(rows.ids, pa.int64()),
        "label": pa.array(rows.labels),
        "rejected": pa.array(rejected),
        "score": pa.nulls(len(rows), pa.float64()) if scores is None else pa.array(scores),
    }
    for name, values in outputs.items():
        columns[COLUMN + name] = (
            pa.array(values)
            if values.ndim == 1
            else pa.FixedSizeListArray.from_arrays(
                pa.array(values.reshape(-1)), int(np.prod(values.shape[1:]))
            )
        )
    pq.write_table(pa.table(columns), path, compression="zstd")


def _array(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    if isinstance(column.type, pa.FixedSizeListType):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat).reshape(len(column), -1)
    return np.asarray(column.to_numpy())


def _check_screening(label: str, rows: Examples, screening: Screening) -> None:
    lengths = (len(screening.examples), len(screening.rejected), len(screening.scores))
    same_ids = list(screening.examples.ids) == list(rows.ids)
    finite = bool(np.isfinite(np.asarray(screening.scores, dtype=np.float64)).all())
    if lengths != (len(rows),) * 3 or not same_ids or not finite:
        raise InputError(
            "a screen must answer for every row, in order, with finite scores",
            where=label,
            found=f"{lengths} rows, decisions and scores; ids "
            f"{'kept' if same_ids else 'changed'}; scores {'finite' if finite else 'not finite'}",
            expected=f"{len(rows)} of each",
            next="tell the plugin's authors",
        )
