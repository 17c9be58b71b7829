"""Stage ``predictions``: what a (defended) model says of every row of a test set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import ABSTAIN, Examples, Predictions
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.screening import Screened, read_screened, rows_shown, screen_rows
from bdbench.engine.torch_engine import TorchEngine

__all__ = ["FILE", "make_predictions", "read_predictions"]

FILE = "predictions.parquet"
COLUMN = "output."


def make_predictions(stage: Stage) -> StageResult:
    """Screens the rows, asks the model, and writes one line per row.

    Columns: ``id``, ``label``, ``rejected``, ``score`` and ``rewritten`` (both null without a
    screen) and ``output.<column>`` for what the model said.
    """
    if "screened" in stage.inputs:
        screened = read_screened(stage.input("screened"))
        given = screened.before
    else:
        given = rows_shown(stage)
        screened = screen_rows(stage, given, stage.checkpoint("model"))
    checkpoint = stage.checkpoint("model")
    engine = TorchEngine(stage.model, stage.precision, stage.meter)
    outputs = dict(engine.predict(engine.load(checkpoint), checkpoint, screened.after))
    if "prediction" in outputs:
        outputs["prediction"] = np.where(screened.rejected, ABSTAIN, outputs["prediction"])
    _write(stage.folder / FILE, given, outputs, screened)
    return StageResult(notes=screened.notes, values={"selection": screened.selection})


def read_predictions(folder: Path) -> Predictions:
    """Reads what the stage wrote."""
    table = pq.read_table(folder / FILE)
    scores, rewritten = table.column("score"), table.column("rewritten")
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
        rewritten=None if rewritten.null_count == len(rewritten) else rewritten.to_numpy(),
    )


def _write(
    path: Path,
    rows: Examples,
    outputs: dict[str, np.ndarray[Any, Any]],
    screened: Screened,
) -> None:
    columns = {
        "id": pa.array(rows.ids, pa.int64()),
        "label": pa.array(rows.labels),
        **screened.columns(),
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
