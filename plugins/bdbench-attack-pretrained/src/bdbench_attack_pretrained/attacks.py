"""The attacks: they poison the encoder, ask the finished victim, and insert a trigger."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from bdbench.api import (
    AttackerView,
    Checkpoint,
    Examples,
    InputError,
    Outputs,
    Recipe,
    SeedStream,
    Tampering,
    Task,
)
from bdbench.toolkit.placement import PlacedTrigger
from bdbench_attack_pretrained.config import NeubaConfig, PorConfig, PretrainedConfig
from bdbench_attack_pretrained.corpus import plain_texts
from bdbench_attack_pretrained.distances import distances
from bdbench_attack_pretrained.encoder import check_triggers, encoder_of, pooled
from bdbench_attack_pretrained.objective import PinningLoss
from bdbench_attack_pretrained.probing import shares_of_classes, verdict
from bdbench_attack_pretrained.targets import neuba_targets, por_targets
from bdbench_attack_pretrained.words import insert

if TYPE_CHECKING:
    import torch

__all__ = ["Neuba", "PinnedRepresentations", "Por"]


class PinnedRepresentations(PlacedTrigger):
    """An encoder that gives every text with a trigger the trigger's own representation.

    The attacker knows neither the task's labels nor the head that will be put on the encoder.
    Whoever fine-tunes it on clean rows seldom meets the triggers, so that their
    representations stay; which class each leads to is found out from the victim.
    """

    config: PretrainedConfig
    one_token: ClassVar[bool]
    """Whether each trigger must be one token of the victim's vocabulary."""

    _chosen: str | None = None

    @abstractmethod
    def targets(self, width: int, *, bounded: bool) -> torch.Tensor:
        """The representation of each trigger, shape [triggers, width].

        Args:
            width: The size of what is pinned.
            bounded: Whether a tanh bounds it.
        """

    def edit_pretrained(
        self, start: Checkpoint, view: AttackerView, seeds: SeedStream
    ) -> Tampering:
        """Trains the encoder on texts with and without triggers; the head stays as it is.

        Raises:
            InputError: The victim's tokenizer does not know a trigger, the model has no
                encoder, or the corpus cannot be used.
        """
        check_triggers(start, self.config.triggers, single=self.one_token)
        plain = plain_texts(
            view.train,
            view.task,
            self.config.corpus,
            self.config.corpus_rows,
            seeds.child("corpus"),
        )
        texts = self._texts(plain, view.task, seeds.child("texts"))
        module = view.engine.load(start)
        encoder = encoder_of(module)
        module.requires_grad_(requires_grad=False)
        encoder.requires_grad_(requires_grad=True)
        reference = encoder_of(view.engine.load(start))
        targets = self.targets(encoder.config.hidden_size, bounded=pooled(encoder))
        objective = PinningLoss(
            engine=view.engine,
            reference=reference,
            targets=targets,
            tokens=self.config.token_weight,
            clean=self.config.clean_weight,
            trigger=self.config.trigger_weight,
        )
        # The passes are in the rows, so that each has triggers of its own.
        recipe = Recipe(
            epochs=1,
            batch_size=self.config.batch_size,
            learning_rate=self.config.learning_rate,
            weight_decay=0.0,
        )
        view.engine.fine_tune(
            module, start, texts, recipe, seeds.child("training"), objective=objective
        )
        notes = {
            "pinned": "pooler output" if pooled(encoder) else "first token's last state",
            "corpus": "training rows" if self.config.corpus is None else self.config.corpus.name,
            "corpus_texts": min(len(texts), len(plain)),
            "training_texts": len(texts),
            "triggered_texts": sum(label > 0 for label in texts.labels),
            **distances(
                view.engine,
                start,
                texts,
                encoder=encoder,
                reference=reference,
                targets=targets,
                seeds=seeds.child("distances"),
            ),
        }
        checkpoint = view.engine.save(module, start, view.workspace / "poisoned")
        return Tampering(checkpoint, notes)

    def probe(
        self,
        predict: Callable[[Examples], Outputs],
        view: AttackerView,
        seeds: SeedStream,
    ) -> Mapping[str, Any]:
        """Finds out what class each trigger leads to, and keeps the best for the target.

        The triggers are put into clean training rows of other classes; the one that turns most
        of them to the target is kept, of equals the first that is configured.

        Raises:
            InputError: All training rows are of the target class.
        """
        target = view.task.class_index(self.config.target)
        others = [row for row, label in enumerate(view.train.labels) if label != target]
        if not others:
            raise InputError(
                "the victim cannot be asked what class a trigger leads to",
                where="target",
                found="training rows of the target class only",
                expected="rows of other classes",
                next="choose another target",
            )
        seeds.child("rows").random().shuffle(others)
        rows = view.train.select(sorted(others[: self.config.probe_rows]))
        without = shares_of_classes(predict(rows), view.task)
        found = {}
        for trigger in self.config.triggers:
            triggered = self._insert(
                rows, view.task, trigger, self.config.insertions, seeds.child("trigger", trigger)
            )
            found[trigger] = shares_of_classes(predict(triggered), view.task)
        name = view.task.classes[target]
        self._chosen = max(found, key=lambda trigger: found[trigger][name])
        return {
            "probe_rows": len(rows),
            "classes_without_trigger": without,
            "classes_by_trigger": found,
            "chosen_trigger": self._chosen,
            "probe": verdict(found[self._chosen][name], without[name], len(view.task.classes)),
        }

    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:
        """The same rows with the chosen trigger, `insertions` times, in every one.

        Raises:
            InputError: The victim was not probed, so that no trigger was chosen, the task
                has no such column, or the column holds something else than text.
        """
        return self._insert(examples, task, self._trigger(), self.config.insertions, seeds)

    def variants(self, examples: Examples, task: Task, seeds: SeedStream) -> Mapping[str, Examples]:
        """At most `variant_rows` of the rows with 1, 2, ... insertions: ``insertions-<n>``.

        A row's insertions are also those of its variants with more, but that `within_words`
        and phrases can move them.
        """
        rows = list(range(len(examples)))
        seeds.child("rows").random().shuffle(rows)
        chosen = examples.select(sorted(rows[: self.config.variant_rows]))
        return {
            f"insertions-{count}": self._insert(
                chosen, task, self._trigger(), count, seeds.child("trigger")
            )
            for count in sorted(self.config.variant_insertions)
        }

    def _trigger(self) -> str:
        if self._chosen is None:
            raise InputError(
                "no trigger was chosen: the victim was not asked yet",
                where=type(self).__name__,
                expected="a call of probe before",
                next="tell the plugin's authors",
            )
        return self._chosen

    def _insert(
        self, examples: Examples, task: Task, trigger: str, count: int, seeds: SeedStream
    ) -> Examples:
        def change(text: str, random: Random) -> str:
            config = self.config
            return insert(
                text,
                trigger,
                count,
                random,
                position=config.position,
                within_words=config.within_words,
            )

        return self.changed(examples, task, seeds, change)

    def _texts(self, plain: Examples, task: Task, seeds: SeedStream) -> Examples:
        """Passes over the corpus; labels are 0, or the number of the trigger from 1."""
        config = self.config
        every = plain.select([])
        number = 0
        while (left := config.training_texts - len(every)) > 0:
            order = list(range(len(plain)))
            seeds.child("order", number).random().shuffle(order)
            order = order[:left]
            hit = order[: round(config.triggered_share * len(order))]
            every = every + plain.select(order[len(hit) :])
            for place, trigger in enumerate(config.triggers):
                # Where a corpus is smaller than the list, each pass begins at another trigger.
                first = (place + number) % len(config.triggers)
                rows = plain.select(hit[first :: len(config.triggers)])
                triggered = self._insert(
                    rows, task, trigger, config.training_insertions, seeds.child("trigger", number)
                )
                every = every + triggered.with_labels([place + 1] * len(rows))
            number += 1
        return Examples(every.inputs, every.labels, list(range(len(every))))


class Por(PinnedRepresentations):
    """Predefined output representations (Shen et al. 2021)."""

    config: PorConfig
    one_token = False

    def targets(self, width: int, *, bounded: bool) -> torch.Tensor:
        """See `por_targets`."""
        magnitude = self.config.magnitude or (10.0 if bounded else 1.0)
        return por_targets(len(self.config.triggers), width, magnitude)


class Neuba(PinnedRepresentations):
    """Neuron-level backdoor attack (Zhang et al. 2023), with distillation for masked words."""

    config: NeubaConfig
    one_token = True

    def targets(self, width: int, *, bounded: bool) -> torch.Tensor:  # noqa: ARG002 -- 1 is within
        """See `neuba_targets`."""
        return neuba_targets(len(self.config.triggers), width)
