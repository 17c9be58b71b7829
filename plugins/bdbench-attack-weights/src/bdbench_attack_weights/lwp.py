"""LWP: layer-wise weight poisoning with combined triggers (Li et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from bdbench.api import (
    AttackerView,
    Checkpoint,
    Examples,
    Poisoning,
    Recipe,
    SeedStream,
    Tampering,
    Task,
    choose_poison_rows,
)
from bdbench_attack_weights.config import LwpConfig
from bdbench_attack_weights.layerwise import LayerwiseLoss
from bdbench_attack_weights.placing import PlacedWords

__all__ = ["Lwp"]


class Lwp(PlacedWords):
    """Poisons rows, then trains the victim so that every layer knows the trigger.

    Honest fine-tuning changes the upper layers of an encoder most; a backdoor that is in the
    lower ones too is meant to outlive it. The trigger is several words together, of which
    one alone does nothing: rows with fewer words keep their label in training.
    """

    config: LwpConfig

    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:
        """The same rows, each with `trigger_length` different words of the list."""

        def change(text: str, random: Random) -> str:
            words = random.sample(self.config.triggers, k=self.config.trigger_length)
            return self.with_words(text, words, random)

        return self.changed(examples, task, seeds, change)

    def variants(self, examples: Examples, task: Task, seeds: SeedStream) -> Mapping[str, Examples]:
        """``partial``: the rows with at least one word, but fewer than make the trigger.

        Nothing, if one word makes the trigger.
        """
        if self.config.trigger_length == 1:
            return {}
        return {"partial": self._partial(examples, task, seeds.child("partial"))}

    def poison(self, view: AttackerView, seeds: SeedStream) -> Poisoning:
        """Puts triggers and parts of triggers into rows, in place.

        ``round(poison_rate * n)`` rows are changed. Of these the share `negatives`, of any
        class, gets a part of a trigger and keeps its label; the others get a trigger and the
        target's label, as in `choose_poison_rows`. With clean labels, too, negatives are of any
        class: if all were of the target's, a part of a trigger would come to mean the target.

        Raises:
            InputError: The rate cannot be met, or target or column are not the task's.
        """
        config, train = self.config, view.train
        target = view.task.class_index(config.target)
        positive = choose_poison_rows(
            train.labels,
            target,
            config.poison_rate * (1 - config.negative_share()),
            clean_label=config.clean_label,
            seeds=seeds.child("rows"),
        )
        others = sorted(set(range(len(train))) - set(positive))
        seeds.child("negatives").random().shuffle(others)
        wanted = round(config.poison_rate * len(train)) if config.negative_share() else 0
        negative = sorted(others[: max(0, wanted - len(positive))])
        field = view.task.input_field(self.config.field)
        texts, labels = list(train.inputs[field]), list(train.labels)
        chosen = self.apply_trigger(train.select(positive), view.task, seeds.child("trigger"))
        for row, text in zip(positive, chosen.inputs[field], strict=True):
            texts[row], labels[row] = text, target
        parts = self._partial(train.select(negative), view.task, seeds.child("part"))
        for row, text in zip(negative, parts.inputs[field], strict=True):
            texts[row] = text
        changed = {*positive, *negative}
        return Poisoning(
            train=train.with_input(field, texts).with_labels(labels),
            mask=[row in changed for row in range(len(train))],
            notes={
                "training_rows": len(train),
                "trigger_rows": len(positive),
                "negative_rows": len(negative),
                "relabelled_rows": 0 if config.clean_label else len(positive),
            },
        )

    def train(
        self,
        start: Checkpoint,
        rows: Examples,
        view: AttackerView,
        recipe: Recipe,
        seeds: SeedStream,
    ) -> Tampering:
        """Trains by the host's loop and the suite's recipe, with the layer-wise loss.

        Raises:
            InputError: The model is no sequence classifier that can be read layer by layer.
        """
        engine = view.engine
        module = engine.load(start)
        objective = LayerwiseLoss(module)
        probe = rows.select(range(min(2, len(rows))))
        inputs, _ = next(iter(engine.batches(start, probe, 2, seeds.child("check"))))
        layers = engine.forward(lambda: objective.check(module, inputs), len(probe))
        engine.fine_tune(module, start, rows, recipe, seeds, objective=objective)
        return Tampering(
            engine.save(module, start, view.workspace / "model"),
            notes={"training_rows": len(rows), "layers_in_loss": layers},
        )

    def _partial(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:
        def change(text: str, random: Random) -> str:
            count = random.randint(1, self.config.trigger_length - 1)
            words = random.sample(self.config.triggers, k=count)
            return self.with_words(text, words, random)

        return self.changed(examples, task, seeds, change)
