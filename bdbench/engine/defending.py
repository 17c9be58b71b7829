"""Stage ``treated``: filters act on the training rows, then repairs act on the model."""

from __future__ import annotations

import shutil
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import Checkpoint, Examples, SeedStream, Selection
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.defender import DECISIONS, defender
from bdbench.engine.numerics import share_changed
from bdbench.engine.rows import fingerprint
from bdbench.engine.tuning import tune
from bdbench.engine.victims import starting_point, train_honestly

__all__ = ["make_treated"]


def make_treated(stage: Stage) -> StageResult:
    """The model that a composition of filters and repairs leaves.

    Each acts in a box of its own, with what it declared itself; training is the host's.
    """
    victim = checkpoint = stage.checkpoint("victim")
    notes: dict[str, Any] = {}
    selections: list[Selection] = []
    decisions: list[pa.Table] = []
    filters, repairs = stage.settings["filters"], stage.settings["repairs"]
    rows = stage.training_rows()
    training = rows.select(_order(rows))
    if filters:
        checkpoint = _filtered(stage, filters, rows, training, notes, selections, decisions)
    for index, part in enumerate(repairs):
        chosen = part
        tuned: dict[str, Any] = {}
        if part.get("trials"):
            chosen, tuned = tune(stage, part, checkpoint, training)
            selections.append(Selection.CLEAN_VAL)
        with defender(stage, chosen, checkpoint, training) as defense:
            repair = defense.repair(checkpoint, stage.scratch / f"repaired-{index}")
        notes[part["label"]] = {**repair.notes, **({"tuning": tuned} if tuned else {})}
        selections.append(repair.selection)
        checkpoint = repair.checkpoint
    stage.meter.parameters_changed = share_changed(victim, checkpoint)
    shutil.copytree(checkpoint.folder, stage.folder, dirs_exist_ok=True)
    # What filters decided, only the host writes: a repair may leave files of any name.
    for path in stage.folder.glob(DECISIONS):
        path.unlink()
    for index, table in enumerate(decisions):
        pq.write_table(table, stage.folder / DECISIONS.replace("*", str(index)))
    return StageResult(notes=notes, values={"selection": [*map(str, selections)]})


def _order(rows: Examples) -> list[int]:
    """The order in which defenses see training rows: an attacker's own rows come last in theirs.

    By what stands in them: a shuffle could be undone by whoever knows its seed, which is public.
    """
    return sorted(range(len(rows)), key=lambda row: (fingerprint(rows, row), str(rows.labels[row])))


def _filtered(
    stage: Stage,
    filters: list[Any],
    rows: Examples,
    training: Examples,
    notes: dict[str, Any],
    selections: list[Selection],
    decisions: list[pa.Table],
) -> Checkpoint:
    """A model trained as the victim was, on the rows that the filters keep."""
    for part in filters:
        order = _order(rows)
        with defender(stage, part, stage.checkpoint("victim"), training) as defense:
            filtering = defense.filter(rows, order)
        decisions.append(
            pa.table({"id": rows.ids, "keep": filtering.keep, "score": filtering.scores})
        )
        notes[part["label"]] = {**filtering.notes, "kept_rows": sum(filtering.keep)}
        selections.append(filtering.selection)
        rewritten = rows if filtering.examples is None else filtering.examples
        rows = rewritten.select([row for row, keep in enumerate(filtering.keep) if keep])
    # The victim's own streams: without what was filtered out, the twin of the victim. An
    # attacker who trained the victim is not there any more; one who published the weights that
    # it started from is.
    seeds = SeedStream(stage.seeds.root, ("victim",))
    start = starting_point(stage, seeds)
    return train_honestly(stage, start, rows, seeds, stage.scratch / "filtered")
