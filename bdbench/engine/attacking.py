"""The attacks at work on models: before, in and after training, and asking the victim."""

from __future__ import annotations

import shutil
from typing import Any

from bdbench.api import (
    Attack,
    AttackerView,
    AttackSpec,
    Checkpoint,
    Examples,
    InputError,
    Outputs,
    Tampering,
)
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.numerics import check_weight_files
from bdbench.engine.torch_engine import TorchEngine
from bdbench.engine.triggering import broken_claim, show_triggers
from bdbench.engine.victims import starting_point, train_honestly

__all__ = [
    "attacker_view",
    "build_attack",
    "make_edited",
    "make_pretrained",
    "make_triggered",
    "make_victim",
]


def build_attack(stage: Stage) -> tuple[Any, AttackSpec]:
    """The stage's attack, and what it declares.

    Raises:
        InputError: It does not work for the task.
    """
    part = stage.settings["attack"]
    attack: Attack = stage.build(part)
    spec = stage.host.spec_of("attack", part["component"])
    if not isinstance(spec, AttackSpec) or not spec.works_for(stage.task.name):
        raise InputError(
            "the attack does not work for this task",
            where=part["label"],
            found=stage.task.name,
            expected=", ".join(sorted(spec.tasks)),
        )
    return attack, spec


def attacker_view(stage: Stage, start: Checkpoint | None = None) -> AttackerView:
    """What an attacker is given: the clean rows, and a model where the stage has one."""
    rows = stage.rows("data", "train")
    if start is None and "base" in stage.inputs:
        start = stage.checkpoint("base")
    if start is None:
        return AttackerView(stage.task, rows)
    workspace = stage.scratch / "attack"
    workspace.mkdir()
    engine = TorchEngine(stage.model, stage.precision, stage.meter)
    return AttackerView(stage.task, rows, engine=engine, start=start, workspace=workspace)


def make_pretrained(stage: Stage) -> StageResult:
    """The pre-trained weights as an attacker publishes them."""
    attack, _ = build_attack(stage)
    view = attacker_view(stage)
    tampering: Tampering = attack.edit_pretrained(view.start, view, stage.seeds)
    return _kept(stage, tampering, [view.start])


def make_victim(stage: Stage) -> StageResult:
    """A victim or reference model, trained on the (poisoned) rows: by the host, or the attacker."""
    start = starting_point(stage, stage.seeds)
    rows = stage.training_rows()
    if "attack" in stage.settings:
        attack, _ = build_attack(stage)
        view = attacker_view(stage, start)
        tampering: Tampering = attack.train(start, rows, view, stage.recipe, stage.seeds)
        return _kept(stage, tampering, [start], training_rows=len(rows))
    trained = train_honestly(stage, start, rows, stage.seeds, stage.scratch / "trained")
    shutil.copytree(trained.folder, stage.folder, dirs_exist_ok=True)
    return StageResult(notes={"training_rows": len(rows)})


def make_edited(stage: Stage) -> StageResult:
    """The trained victim as the attacker hands it on."""
    attack, _ = build_attack(stage)
    view = attacker_view(stage)
    victim = stage.checkpoint("victim")
    tampering: Tampering = attack.edit(victim, view, stage.seeds)
    return _kept(stage, tampering, [victim, view.start])


def make_triggered(stage: Stage) -> StageResult:
    """The triggered test rows of an attacker who asks the victim first."""
    attack, spec = build_attack(stage)
    view = attacker_view(stage)
    victim = stage.checkpoint("victim")
    module = view.engine.load(victim)

    def predict(rows: Examples) -> Outputs:
        return view.engine.predict(module, victim, rows)

    notes = dict(attack.probe(predict, view, stage.seeds.child("probe")))
    notes |= show_triggers(stage, attack, spec)
    return StageResult(notes=notes, values={"target": attack.target(stage.task)})


def _kept(stage: Stage, tampering: Tampering, given: list[Checkpoint], **notes: Any) -> StageResult:
    """Puts the model that an attacker made into the store."""
    label = stage.settings["attack"]["label"]
    folder = tampering.checkpoint.folder
    if folder in {checkpoint.folder for checkpoint in given} or not folder.is_dir():
        raise broken_claim(label, "no new model was written below the workspace")
    check_weight_files(tampering.checkpoint, label)
    shutil.copytree(folder, stage.folder, dirs_exist_ok=True)
    return StageResult(notes={**tampering.notes, **notes})
