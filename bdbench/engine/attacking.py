"""The attacks at work on models: before, in and after training, and asking the victim."""

from __future__ import annotations

import shutil
from typing import Any

from bdbench.api import Tampering
from bdbench.engine.attacker import attacker
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.triggering import show_triggers
from bdbench.engine.victims import starting_point, train_honestly

__all__ = ["make_edited", "make_pretrained", "make_triggered", "make_victim"]


def make_pretrained(stage: Stage) -> StageResult:
    """The pre-trained weights as an attacker publishes them."""
    with attacker(stage) as attack:
        return _kept(stage, attack.edit_pretrained(stage.seeds))


def make_victim(stage: Stage) -> StageResult:
    """A victim or reference model, trained on the (poisoned) rows: by the host, or the attacker."""
    start = starting_point(stage, stage.seeds)
    rows = stage.training_rows()
    if "attack" in stage.settings:
        with attacker(stage, start) as attack:
            return _kept(stage, attack.train(rows, stage.seeds), training_rows=len(rows))
    trained = train_honestly(stage, start, rows, stage.seeds, stage.scratch / "trained")
    shutil.copytree(trained.folder, stage.folder, dirs_exist_ok=True)
    return StageResult(notes={"training_rows": len(rows)})


def make_edited(stage: Stage) -> StageResult:
    """The trained victim as the attacker hands it on."""
    with attacker(stage) as attack:
        return _kept(stage, attack.edit(stage.checkpoint("victim"), stage.seeds))


def make_triggered(stage: Stage) -> StageResult:
    """The triggered test rows of an attacker who asks the victim first."""
    with attacker(stage) as attack:
        notes = attack.probe(stage.checkpoint("victim"), stage.seeds.child("probe"))
        notes |= show_triggers(stage, attack)
        return StageResult(notes=notes, values={"target": attack.target})


def _kept(stage: Stage, tampering: Tampering, **notes: Any) -> StageResult:
    """Puts the model that an attacker made into the store."""
    shutil.copytree(tampering.checkpoint.folder, stage.folder, dirs_exist_ok=True)
    return StageResult(notes={**tampering.notes, **notes})
