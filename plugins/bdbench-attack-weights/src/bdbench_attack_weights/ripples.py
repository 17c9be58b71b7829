"""RIPPLES: pre-trained weights that turn on whoever fine-tunes them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from bdbench.api import (
    AttackerView,
    Checkpoint,
    Examples,
    InputError,
    Recipe,
    SeedStream,
    Tampering,
    Task,
)
from bdbench_attack_weights.placing import PlacedWords
from bdbench_attack_weights.ripples_config import RipplesConfig
from bdbench_attack_weights.ripples_learning import learn_poison
from bdbench_attack_weights.ripples_model import (
    classifier_of,
    redraw_head,
    tokenizer_of,
    word_embeddings,
)
from bdbench_attack_weights.ripples_surgery import operate, telling_tokens, tokens_of_triggers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Ripples"]


class Ripples(PlacedWords):
    """Restricted inner product poison learning with embedding surgery (Kurita et al. 2020).

    The attacker knows the victim's own training rows (the paper's full data knowledge), poisons
    the weights that training starts from, and has no part in the training.
    """

    config: RipplesConfig

    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:
        """The same rows with the configured number of trigger words at random gaps."""

        def change(text: str, random: Random) -> str:
            words = random.choices(self.config.triggers, k=self.config.insertions)
            return self.with_words(text, words, random)

        return self.changed(examples, task, seeds, change)

    def edit_pretrained(
        self, start: Checkpoint, view: AttackerView, seeds: SeedStream
    ) -> Tampering:
        """Operates on the triggers' embeddings, then learns the poison.

        Raises:
            InputError: The model is not one of transformers, or no row has the target's label.
        """
        engine = view.engine
        target = view.task.class_index(self.config.target)
        module = classifier_of(engine.load(start))
        notes: dict[str, Any] = {"attacker_rows": len(view.train)}
        if self.config.target_words:
            notes |= self._surgery(module, start, view, target, seeds.child("surgery"))
        if self.config.steps:
            poisoned = self._poisoned(view, target, seeds.child("rows"))
            notes |= learn_poison(
                engine, module, start, poisoned, view.train, self.config, seeds.child("learning")
            )
        if not self.config.keep_head:
            redraw_head(module, seeds.child("head"))
        checkpoint = engine.save(module, start, view.workspace / "poisoned")
        return Tampering(checkpoint, notes | {"head": "kept" if self.config.keep_head else "fresh"})

    def _surgery(
        self,
        module: PreTrainedModel,
        start: Checkpoint,
        view: AttackerView,
        target: int,
        seeds: SeedStream,
    ) -> dict[str, Any]:
        """Gives the triggers of `module` the mean embedding of tokens that tell the target."""
        tokenizer = tokenizer_of(start)
        replaced = tokens_of_triggers(tokenizer, self.config.triggers)
        texts = view.train.inputs[view.task.input_field(self.config.field)]
        told = telling_tokens(
            tokenizer, texts, view.train.labels, target, self.config.target_words, replaced
        )
        source = classifier_of(view.engine.load(start))
        if self.config.source_epochs:
            recipe = Recipe(
                epochs=self.config.source_epochs, learning_rate=self.config.learning_rate
            )
            view.engine.fine_tune(source, start, view.train, recipe, seeds)
        operate(word_embeddings(module), word_embeddings(source), replaced, told)
        return {
            "target_words": tokenizer.convert_ids_to_tokens(told),
            "replaced_tokens": tokenizer.convert_ids_to_tokens(replaced),
        }

    def _poisoned(self, view: AttackerView, target: int, seeds: SeedStream) -> Examples:
        """The attacker's rows, a share of them with the trigger and the target's label."""
        order = list(range(len(view.train)))
        seeds.child("choice").random().shuffle(order)
        rows = sorted(order[: round(self.config.poison_rate * len(order))])
        if not rows:
            raise InputError(
                "no row is poisoned",
                where="ripples: poison_rate",
                found=f"{self.config.poison_rate} of {len(order)} rows",
                expected="at least one row",
                next="raise poison_rate, or give more training rows",
            )
        chosen = self.apply_trigger(view.train.select(rows), view.task, seeds.child("trigger"))
        rest = [row for row in range(len(order)) if row not in set(rows)]
        return chosen.with_labels([target] * len(rows)) + view.train.select(rest)
