"""An attack acts: each surface by an object of its own, as in the host."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bdbench.api import (
    AttackerView,
    AttackSpec,
    Checkpoint,
    Examples,
    Outputs,
    Poisoning,
    Surface,
    Tampering,
)
from bdbench.testing.scene import Scene

__all__ = ["TEST_ROWS", "AttackRun", "act"]

TEST_ROWS = "test rows"
"""How the names of all that it is handed of the test rows begin."""


@dataclass(slots=True)
class AttackRun:
    """What an attack did.

    Attributes:
        clean: The training rows before it.
        target: The class that it wants.
        test: The test rows.
        handed: The copy of them that it was handed, all rows, as it left them.
        eligible: Which of them it says can show success.
        before: These.
        triggered: The same with the trigger.
        trigger: Puts the trigger into rows, by the object that made `triggered`.
        poisoning: What it made of the training rows.
        tampered: What it made of which model, by surface.
        workspaces: The folders that it could write to, by surface.
        variants: Its variants of `before`.
    """

    clean: Examples
    target: int | None
    test: Examples
    handed: Examples
    eligible: list[bool]
    before: Examples
    triggered: Examples
    trigger: Callable[[Examples], Examples]
    poisoning: Poisoning | None = None
    tampered: dict[Surface, tuple[Checkpoint, Tampering]] = field(default_factory=dict)
    workspaces: dict[Surface, Any] = field(default_factory=dict)
    variants: Mapping[str, Examples] = field(default_factory=dict)

    def results(self) -> dict[str, Any]:
        """All that decides numbers."""
        return {
            "target": self.target,
            "poisoned rows": self.poisoning.train if self.poisoning else None,
            "mask": [bool(yes) for yes in self.poisoning.mask] if self.poisoning else None,
            "triggered rows": self.triggered,
            "variants": self.variants,
            **{
                f"model after {surface}": tampering.checkpoint
                for surface, (_, tampering) in self.tampered.items()
            },
        }


def act(spec: AttackSpec, build: Callable[[], Any], scene: Scene) -> AttackRun:
    """Lets an attack do all that it declares.

    Args:
        spec: What it declares.
        build: Makes a new object of it.
        scene: Where.
    """
    task = scene.world.task
    surfaces = spec.surfaces
    models = bool(surfaces - {Surface.DATA}) or spec.uses_model or spec.probes_victim
    folders: dict[str, Any] = {}

    def view(step: str) -> AttackerView:
        rows = scene.hand(f"training rows ({step})", scene.world.splits.train)
        if not models:
            return AttackerView(task, rows)
        folders[step] = scene.workspace()
        start = scene.hand_model(f"start model ({step})", scene.world.start)
        return AttackerView(task, rows, engine=scene.engine, start=start, workspace=folders[step])

    poisoning = None
    attack = build()
    target = attack.target(task)
    if Surface.DATA in surfaces:
        poisoning = attack.poison(view("poison"), scene.seeds.child("poison"))
    tampered = _tamper(surfaces, build, scene, view, poisoning)
    if spec.probes_victim:
        attack = build()
        victim = tampered.get(Surface.WEIGHTS) or tampered.get(Surface.PRETRAINED)
        found = victim[1].checkpoint if victim else scene.world.victim
        attack.probe(_asked(scene, found), view("probe"), scene.seeds.child("probe"))
    test = scene.world.splits.test
    # One copy for all that it does with them: whatever it changes, it changes there.
    handed = scene.hand(TEST_ROWS, test)
    eligible = [bool(yes) for yes in attack.eligible(handed, task)]
    rows = [row for row, yes in enumerate(eligible) if yes]

    def trigger(given: Examples) -> Examples:
        found: Examples = attack.apply_trigger(given, task, scene.seeds.child("trigger"))
        return found

    run = AttackRun(
        clean=scene.world.splits.train,
        target=target,
        test=test,
        handed=handed,
        eligible=eligible,
        before=test.select(rows),
        triggered=trigger(scene.watch(f"{TEST_ROWS} (to trigger)", handed.select(rows))),
        trigger=lambda given: trigger(copy.deepcopy(given)),
        poisoning=poisoning,
        tampered=tampered,
        workspaces={Surface(step): folder for step, folder in folders.items() if step in surfaces},
    )
    if spec.makes_variants:
        given = scene.watch(f"{TEST_ROWS} (to vary)", handed.select(rows))
        run.variants = dict(attack.variants(given, task, scene.seeds.child("variants")))
    return run


def _tamper(
    surfaces: frozenset[Surface],
    build: Callable[[], Any],
    scene: Scene,
    view: Callable[[str], AttackerView],
    poisoning: Poisoning | None,
) -> dict[Surface, tuple[Checkpoint, Tampering]]:
    done: dict[Surface, tuple[Checkpoint, Tampering]] = {}
    if Surface.PRETRAINED in surfaces:
        given = view(Surface.PRETRAINED)
        start = given.start
        edited = build().edit_pretrained(start, given, scene.seeds.child("pretrained"))
        done[Surface.PRETRAINED] = (start, edited)
    if Surface.TRAINING in surfaces:
        given = view(Surface.TRAINING)
        rows = scene.hand(
            "rows to train on", poisoning.train if poisoning else scene.world.splits.train
        )
        seeds = scene.seeds.child("training")
        trained = build().train(given.start, rows, given, scene.world.recipe, seeds)
        done[Surface.TRAINING] = (given.start, trained)
    if Surface.WEIGHTS in surfaces:
        victim = scene.hand_model("victim", scene.world.victim)
        edited = build().edit(victim, view(Surface.WEIGHTS), scene.seeds.child("weights"))
        done[Surface.WEIGHTS] = (victim, edited)
    return done


def _asked(scene: Scene, victim: Checkpoint) -> Callable[[Examples], Outputs]:
    module = scene.engine.load(victim)
    return lambda rows: scene.engine.predict(module, victim, rows)
