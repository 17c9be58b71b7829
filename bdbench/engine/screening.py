"""Input screens at work on test rows; stage ``screened`` for those that look at no model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import Checkpoint, Examples
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.defender import defender
from bdbench.engine.rows import read_examples, write_examples
from bdbench.engine.triggering import same_row

__all__ = ["Screened", "make_screened", "read_screened", "rows_shown", "screen_rows"]

BEFORE, AFTER, DECISIONS = "before.parquet", "after.parquet", "decisions.parquet"


@dataclass(frozen=True, slots=True)
class Screened:
    """What screens made of rows.

    Attributes:
        before: The rows as they came.
        after: The rows as the model sees them.
        rejected: Whether some screen rejected the row, shape [n].
        scores: The largest suspicion, shape [n]; None without a screen.
        rewritten: Whether the row was changed, shape [n]; None without a screen.
        notes: What each screen reported, by label.
        selection: How each screen came by its settings.
    """

    before: Examples
    after: Examples
    rejected: np.ndarray[Any, Any]
    scores: np.ndarray[Any, Any] | None = None
    rewritten: np.ndarray[Any, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    selection: list[str] = field(default_factory=list)

    def columns(self) -> dict[str, pa.Array]:
        """What was decided, as columns of a table."""
        nothing = pa.nulls(len(self.before), pa.float64())
        return {
            "rejected": pa.array(self.rejected),
            "score": nothing if self.scores is None else pa.array(self.scores),
            "rewritten": nothing.cast(pa.bool_())
            if self.rewritten is None
            else pa.array(self.rewritten),
        }


def make_screened(stage: Stage) -> StageResult:
    """Screens rows without any model, so that all victims and defenses share the result."""
    screened = screen_rows(stage, rows_shown(stage), None)
    write_examples(screened.before, stage.folder / BEFORE)
    write_examples(screened.after, stage.folder / AFTER)
    pq.write_table(pa.table(screened.columns()), stage.folder / DECISIONS)
    return StageResult(notes=screened.notes, values={"selection": screened.selection})


def read_screened(folder: Path) -> Screened:
    """Reads what the stage wrote; its notes stay with it."""
    table = pq.read_table(folder / DECISIONS)
    return Screened(
        before=read_examples(folder / BEFORE),
        after=read_examples(folder / AFTER),
        rejected=table.column("rejected").to_numpy(),
        scores=table.column("score").to_numpy(),
        rewritten=table.column("rewritten").to_numpy(),
    )


def rows_shown(stage: Stage) -> Examples:
    """The rows that a stage is about: clean test rows, triggered ones, or variants."""
    for role in ("triggered", "variants"):
        if role in stage.inputs:
            return stage.rows(role, role)
    return stage.rows("data", "test")


def screen_rows(stage: Stage, rows: Examples, checkpoint: Checkpoint | None) -> Screened:
    """Lets the stage's screens act in turn, each in a box of its own.

    A screen stands before the model: it has the inputs and nothing else.

    Args:
        stage: Names the screens.
        rows: What they see first.
        checkpoint: The model behind them; None where no screen looks at it.
    """
    rejected = np.zeros(len(rows), dtype=bool)
    scores: np.ndarray[Any, Any] | None = None
    notes: dict[str, Any] = {}
    selection: list[str] = []
    seen = rows
    for part in stage.settings["screens"]:
        with defender(stage, part, checkpoint) as defense:
            screening = defense.screen(seen)
        seen = screening.examples
        rejected |= np.asarray(screening.rejected, dtype=bool)
        latest = np.asarray(screening.scores, dtype=np.float64)
        scores = latest if scores is None else np.maximum(scores, latest)
        notes[part["label"]] = dict(screening.notes)
        selection.append(str(screening.selection))
    if scores is None:
        return Screened(rows, seen, rejected)
    rewritten = np.array([not same_row(rows, seen, row) for row in range(len(rows))], dtype=bool)
    return Screened(rows, seen, rejected, scores, rewritten, notes, selection)
