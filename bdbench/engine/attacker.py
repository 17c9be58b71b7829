"""The host's side of an attack at work: what it is shown, what is asked of it, what is believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bdbench.api import (
    AttackSpec,
    Checkpoint,
    Examples,
    InputError,
    Poisoning,
    SeedStream,
    Tampering,
)
from bdbench.engine.box import Box
from bdbench.engine.context import Stage
from bdbench.engine.numerics import check_weight_files

__all__ = ["Attacker", "attacker", "broken_claim"]


class Attacker:
    """An attack in its box. Its methods are those of `bdbench.api.attacks`.

    Args:
        stage: Where it acts.
        box: Where it acts from.
        spec: What it declares.
    """

    def __init__(self, stage: Stage, box: Box, spec: AttackSpec) -> None:
        self.spec = spec
        self.label: str = stage.settings["attack"]["label"]
        self.target: int | None = box.ask("target")["target"]
        self._stage = stage
        self._box = box

    def poison(self, seeds: SeedStream) -> Poisoning:
        """The poisoned training rows; from then on nothing that it does can change them."""
        found = self._box.ask("poison", seeds=_plain(seeds))
        return Poisoning(self._box.rows("poisoned"), found["mask"], found["notes"])

    def eligible(self, rows: Examples) -> list[bool]:
        """The rows on which success can be seen."""
        self._box.show_rows("rows", rows)
        eligible: list[bool] = self._box.ask("eligible", name="rows")["eligible"]
        if len(eligible) != len(rows):
            raise broken_claim(self.label, f"{len(eligible)} answers for {len(rows)} rows")
        return eligible

    def apply_trigger(self, rows: Examples, seeds: SeedStream) -> Examples:
        """The rows with the trigger."""
        self._box.show_rows("subject", rows)
        self._box.ask("trigger", name="subject", seeds=_plain(seeds))
        return self._box.rows("triggered")

    def variants(self, seeds: SeedStream) -> dict[str, Examples]:
        """The variants of the rows that `apply_trigger` was given."""
        names = self._box.ask("variants", name="subject", seeds=_plain(seeds))["names"]
        return {str(name): self._box.rows(f"variant-{n}") for n, name in enumerate(names)}

    def probe(self, victim: Checkpoint, seeds: SeedStream) -> dict[str, Any]:
        """Lets it ask the victim."""
        self._box.show("victim", victim.folder)
        return dict(self._box.ask("probe", seeds=_plain(seeds))["notes"])

    def edit_pretrained(self, seeds: SeedStream) -> Tampering:
        """The pre-trained weights as it publishes them."""
        return self._tampering(self._box.ask("edit_pretrained", seeds=_plain(seeds)))

    def train(self, rows: Examples, seeds: SeedStream) -> Tampering:
        """The victim as it trains it."""
        self._box.show_rows("train", rows)
        return self._tampering(self._box.ask("train", seeds=_plain(seeds)))

    def edit(self, victim: Checkpoint, seeds: SeedStream) -> Tampering:
        """The trained victim as it hands it on."""
        self._box.show("victim", victim.folder)
        return self._tampering(self._box.ask("edit", seeds=_plain(seeds)))

    def _tampering(self, found: Mapping[str, Any]) -> Tampering:
        name = found["checkpoint"]
        if name is None:
            raise broken_claim(self.label, "no new model was written below the workspace")
        folder = self._stage.scratch / "tampered"
        checkpoint = self._box.take_checkpoint(name, self.label, folder)
        if not checkpoint.weight_files():
            raise broken_claim(self.label, "the new model has no safetensors files")
        check_weight_files(checkpoint, self.label)
        return Tampering(checkpoint, found["notes"])


@contextmanager
def attacker(stage: Stage, start: Checkpoint | None = None) -> Iterator[Attacker]:
    """The stage's attack in a box, with the clean rows, and a model where it works on one.

    Args:
        stage: Where it acts.
        start: What training starts from; by default the stage's base, if it has one.

    Raises:
        InputError: It does not work for the task.
    """
    part = stage.settings["attack"]
    spec = stage.host.spec_of("attack", part["component"])
    if not isinstance(spec, AttackSpec) or not spec.works_for(stage.task.name):
        raise InputError(
            "the attack does not work for this task",
            where=part["label"],
            found=stage.task.name,
            expected=", ".join(sorted(spec.tasks)),
        )
    if start is None and "base" in stage.inputs:
        start = stage.checkpoint("base")
    with stage.box(part) as box:
        box.show_rows("clean-train", stage.rows("data", "train"))
        if start is not None:
            box.show("start", start.folder)
        yield Attacker(stage, box, spec)


def broken_claim(label: str, found: str) -> InputError:
    """The error for an attack that does not do what attacks do."""
    return InputError(
        "the attack does not keep to its rules",
        where=label,
        found=found,
        expected="what `bdbench.api.attacks` asks of an attack",
        next="tell the plugin's authors",
    )


def _plain(seeds: SeedStream) -> list[Any]:
    return [seeds.root, *seeds.path]
