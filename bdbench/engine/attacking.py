"""The attacks at work on models: before, in and after training, and asking the victim."""

from __future__ import annotations

import shutil
from typing import Any

import pyarrow.parquet as pq

from bdbench.api import Checkpoint, Examples, Tampering
from bdbench.engine.attacker import attacker
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.triggering import count_cut_off, show_triggers
from bdbench.engine.victims import starting_point, train_honestly
from bdbench.toolkit.cutting import CutsRows

__all__ = ["make_edited", "make_pretrained", "make_triggered", "make_victim"]


def make_pretrained(stage: Stage) -> StageResult:
    """The pre-trained weights as an attacker publishes them."""
    with attacker(stage) as attack:
        return _kept(stage, attack.edit_pretrained(stage.seeds))


def make_victim(stage: Stage) -> StageResult:
    """A victim or reference model, trained on the (poisoned) rows: by the host, or the attacker."""
    start = starting_point(stage, stage.seeds)
    rows = stage.training_rows()
    notes = {"training_rows": len(rows), **_cut_off(stage, start, rows)}
    if "attack" in stage.settings:
        with attacker(stage, start) as attack:
            return _kept(stage, attack.train(rows, stage.seeds), **notes)
    trained = train_honestly(stage, start, rows, stage.seeds, stage.scratch / "trained")
    shutil.copytree(trained.folder, stage.folder, dirs_exist_ok=True)
    return StageResult(notes=notes)


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


def _cut_off(stage: Stage, start: Checkpoint, rows: Examples) -> dict[str, int]:
    """Of how many poisoned rows the victim reads no trigger: what they teach is a wrong label."""
    model = stage.model
    if "poison" not in stage.inputs or not isinstance(model, CutsRows):
        return {}
    mask = pq.read_table(stage.input("poison") / "mask.parquet").column("poisoned").to_pylist()
    clean = stage.rows("data", "train")
    # Rows that the attack added come after the clean ones; without a trigger they are none.
    poisoned = [row for row in range(len(clean)) if mask[row]]
    items = zip(poisoned, model.encode(rows.select(poisoned), start), strict=True)
    cut = {row: item for row, item in items if model.is_cut(item)}
    count = count_cut_off(model, start, clean.select(list(cut)), list(cut.values()))
    return {"triggers_cut_off": count} if count else {}


def _kept(stage: Stage, tampering: Tampering, **notes: Any) -> StageResult:
    """Puts the model that an attacker made into the store."""
    shutil.copytree(tampering.checkpoint.folder, stage.folder, dirs_exist_ok=True)
    return StageResult(notes={**tampering.notes, **notes})
