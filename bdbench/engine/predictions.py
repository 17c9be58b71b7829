"""Stage ``predictions``: what a (defended) model says of every row of a test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import ABSTAIN, Checkpoint, Examples, Predictions
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.screening import Screened, read_screened, rows_shown, screen_rows
from bdbench.engine.triggering import count_cut_off, read_variants
from bdbench.results.predictions import FILE, SCREENING
from bdbench.toolkit.cutting import CutsRows

__all__ = ["make_predictions", "read_predictions"]

COLUMN = "output."


def make_predictions(stage: Stage) -> StageResult:
    """Screens the rows, asks the model, and writes one line per row.

    Columns: ``id``, ``label``, ``rejected``, ``score`` and ``rewritten`` (both null without a
    screen) and ``output.<column>`` for what the model said. Where the family can tell, the notes
    say how many rows were cut (``cut_rows``), and how many triggers with them
    (``triggers_cut_off``: the model reads of the row what it reads without the trigger).
    """
    values: dict[str, Any] = {}
    checkpoint = stage.checkpoint("model")
    if "screened" in stage.inputs:
        screened = read_screened(stage.input("screened"))
        given = screened.before
    else:
        given = rows_shown(stage)
        began = stage.meter.cost()
        screened = screen_rows(stage, given, checkpoint)
        if screened.scores is not None:
            # The defense's own cost; what the host's predictions take is not.
            values[SCREENING] = stage.meter.cost().since(began).model_dump()
    engine = stage.engine
    items = engine.model.encode(screened.after, checkpoint)
    outputs = dict(engine.answers(engine.load(checkpoint), items))
    if "prediction" in outputs:
        outputs["prediction"] = np.where(screened.rejected, ABSTAIN, outputs["prediction"])
    _write(stage.folder / FILE, given, outputs, screened)
    return StageResult(
        notes={**screened.notes, **_cut(stage, checkpoint, screened, items)},
        values={**values, "selection": screened.selection},
    )


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


def _cut(
    stage: Stage, checkpoint: Checkpoint, screened: Screened, items: Sequence[Any]
) -> dict[str, Any]:
    """How many rows the model read only a part of, and of how many it read no trigger."""
    model = stage.engine.model
    if not isinstance(model, CutsRows):
        return {}
    cut = [row for row, item in enumerate(items) if model.is_cut(item)]
    notes: dict[str, Any] = {"cut_rows": len(cut)} if cut else {}
    shown = stage.inputs.keys() & {"triggered", "variants"}
    if cut and shown and screened.rewritten is None:
        bare = _bare(stage, [screened.after.ids[row] for row in cut])
        read = [items[row] for row in cut]
        notes["triggers_cut_off"] = count_cut_off(model, checkpoint, bare, read)
    return notes


def _bare(stage: Stage, ids: Sequence[int]) -> Examples:
    """The test rows behind triggered ones or variants, without the trigger."""
    test = stage.rows("data", "test")
    places = {row_id: row for row, row_id in enumerate(test.ids)}
    if "variants" in stage.inputs:
        # The rows of all variants are numbered through.
        variants = read_variants(stage.input("variants"))
        numbers = [row_id for rows in variants.values() for row_id in rows.ids]
        ids = [numbers[row_id] for row_id in ids]
    return test.select([places[row_id] for row_id in ids])


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
