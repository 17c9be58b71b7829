"""What an attack does in its box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bdbench.api import (
    Attack,
    AttackerView,
    Checkpoint,
    Examples,
    Outputs,
    Poisoning,
    SeedStream,
    Tampering,
)
from bdbench.engine.boxed import Act, Boxed, left_checkpoint

__all__ = ["ATTACK_ACTS"]


def _attack(boxed: Boxed) -> Any:
    attack: Attack = boxed.component
    return attack


def _seeds(seeds: list[Any]) -> SeedStream:
    root, *path = seeds
    return SeedStream(root, tuple(path))


def _view(boxed: Boxed, number: str) -> AttackerView:
    """What an attacker is given: the clean rows, and a model where there is one."""
    train = boxed.rows("clean-train")
    if not boxed.has("start"):
        return AttackerView(boxed.task, train)
    return AttackerView(
        boxed.task,
        train,
        engine=boxed.engine,
        start=boxed.checkpoint("start"),
        workspace=boxed.place(number),
    )


def _target(boxed: Boxed) -> Mapping[str, Any]:
    return {"target": _attack(boxed).target(boxed.task)}


def _poison(boxed: Boxed, seeds: list[Any]) -> Mapping[str, Any]:
    poisoning: Poisoning = _attack(boxed).poison(_view(boxed, "poisoning"), _seeds(seeds))
    boxed.leave_rows("poisoned", poisoning.train)
    return {"mask": [bool(marked) for marked in poisoning.mask], "notes": dict(poisoning.notes)}


def _eligible(boxed: Boxed, name: str) -> Mapping[str, Any]:
    found = _attack(boxed).eligible(boxed.rows(name), boxed.task)
    return {"eligible": [bool(yes) for yes in found]}


def _trigger(boxed: Boxed, name: str, seeds: list[Any]) -> Mapping[str, Any]:
    rows: Examples = _attack(boxed).apply_trigger(boxed.rows(name), boxed.task, _seeds(seeds))
    boxed.leave_rows("triggered", rows)
    return {}


def _variants(boxed: Boxed, name: str, seeds: list[Any]) -> Mapping[str, Any]:
    found = _attack(boxed).variants(boxed.rows(name), boxed.task, _seeds(seeds))
    names = list(found)
    for number, rows in enumerate(found.values()):
        boxed.leave_rows(f"variant-{number}", rows)
    return {"names": names}


def _tampered(boxed: Boxed, tampering: Tampering) -> Mapping[str, Any]:
    return {
        "checkpoint": left_checkpoint(boxed, tampering.checkpoint),
        "notes": dict(tampering.notes),
    }


def _edit_pretrained(boxed: Boxed, seeds: list[Any]) -> Mapping[str, Any]:
    view = _view(boxed, "edited")
    return _tampered(boxed, _attack(boxed).edit_pretrained(view.start, view, _seeds(seeds)))


def _train(boxed: Boxed, seeds: list[Any]) -> Mapping[str, Any]:
    view = _view(boxed, "trained")
    rows = boxed.rows("train")
    return _tampered(
        boxed, _attack(boxed).train(view.start, rows, view, boxed.recipe, _seeds(seeds))
    )


def _edit(boxed: Boxed, seeds: list[Any]) -> Mapping[str, Any]:
    victim = boxed.checkpoint("victim")
    return _tampered(boxed, _attack(boxed).edit(victim, _view(boxed, "edited"), _seeds(seeds)))


def _probe(boxed: Boxed, seeds: list[Any]) -> Mapping[str, Any]:
    engine = boxed.engine
    victim: Checkpoint = boxed.checkpoint("victim")
    module = engine.load(victim)

    def predict(rows: Examples) -> Outputs:
        return engine.predict(module, victim, rows)

    notes = _attack(boxed).probe(predict, _view(boxed, "probing"), _seeds(seeds))
    return {"notes": dict(notes)}


ATTACK_ACTS: Mapping[str, Act] = {
    "target": _target,
    "poison": _poison,
    "eligible": _eligible,
    "trigger": _trigger,
    "variants": _variants,
    "edit_pretrained": _edit_pretrained,
    "train": _train,
    "edit": _edit,
    "probe": _probe,
}
