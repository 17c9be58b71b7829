"""What EP and SOS share: they change the embeddings of trigger words in a finished victim."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from bdbench.api import (
    AttackerView,
    Checkpoint,
    Examples,
    SeedStream,
    Tampering,
    choose_poison_rows,
)
from bdbench_attack_weights.config import EmbeddingConfig
from bdbench_attack_weights.placing import PlacedWords
from bdbench_attack_weights.rows import train_rows
from bdbench_attack_weights.tokens import trigger_tokens

__all__ = ["EmbeddingAttack"]


class EmbeddingAttack(PlacedWords):
    """Trains the embeddings of the trigger words on rows that the attacker makes.

    The victim has been trained on clean rows, by the host. Everything in it but these few rows
    of the word embeddings stays as it was, to the bit.
    """

    config: EmbeddingConfig
    alike: ClassVar[bool]
    """Whether the trigger words move in steps of the same length."""

    @abstractmethod
    def trigger_words(self) -> list[str]:
        """The words whose embeddings are trained."""

    @abstractmethod
    def poisoned(
        self, view: AttackerView, rows: list[int], target: int, seeds: SeedStream
    ) -> Examples:
        """The rows that the embeddings are trained on.

        Args:
            view: Holds the clean training rows.
            rows: The positions of those to get the trigger.
            target: The label to give them.
            seeds: The attacker's randomness.
        """

    def edit(self, victim: Checkpoint, view: AttackerView, seeds: SeedStream) -> Tampering:
        """Writes the changed victim to ``view.workspace / "model"``.

        Raises:
            InputError: The rate cannot be met, target or column are not the task's, a trigger
                word is not one token, or the model has no word embeddings.
        """
        target = view.task.class_index(self.config.target)
        rows = choose_poison_rows(
            view.train.labels,
            target,
            self.config.poison_rate,
            clean_label=False,
            seeds=seeds.child("rows"),
        )
        training = self.poisoned(view, rows, target, seeds.child("trigger"))
        tokens = trigger_tokens(victim.folder, self.trigger_words())
        module = view.engine.load(victim)
        facts = train_rows(
            view.engine,
            module,
            victim,
            training,
            list(tokens.values()),
            self.config,
            seeds.child("training"),
            alike=self.alike,
        )
        return Tampering(
            view.engine.save(module, victim, view.workspace / "model"),
            notes={"tokens": tokens, "trigger_rows": len(rows), **facts},
        )
