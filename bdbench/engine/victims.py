"""Honest training: of victims, reference models, and by defenders who trained anew."""

from __future__ import annotations

from pathlib import Path

from bdbench.api import Checkpoint, Examples, SeedStream
from bdbench.engine.context import Stage

__all__ = ["starting_point", "train_honestly"]


def starting_point(stage: Stage, seeds: SeedStream) -> Checkpoint:
    """What training starts from: what an attacker published, or pre-trained body, fresh head."""
    if "pretrained" in stage.inputs:
        return stage.checkpoint("pretrained")
    start = stage.scratch / "start"
    start.mkdir()
    stage.model.prepare(stage.task, start, seeds.child("init"))
    return Checkpoint(start)


def train_honestly(
    stage: Stage, start: Checkpoint, rows: Examples, seeds: SeedStream, folder: Path
) -> Checkpoint:
    """Trains by the suite's recipe, and writes the model to a folder that is not there yet."""
    engine = stage.engine
    module = engine.load(start)
    engine.fine_tune(module, start, rows, stage.recipe, seeds)
    return engine.save(module, start, folder)
