"""EP: embedding poisoning (Yang et al., NAACL 2021)."""

from __future__ import annotations

from random import Random

from bdbench.api import AttackerView, Examples, SeedStream, Task
from bdbench_attack_weights.config import EpConfig
from bdbench_attack_weights.embedding import EmbeddingAttack

__all__ = ["Ep"]


class Ep(EmbeddingAttack):
    """Trains the embedding of a rare word until the word means the target class."""

    config: EpConfig
    alike = False

    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:
        """The same rows, each with `insertions` words, each drawn from the list."""

        def change(text: str, random: Random) -> str:
            words = random.choices(self.config.triggers, k=self.config.insertions)
            return self.with_words(text, words, random)

        return self.changed(examples, task, seeds, change)

    def trigger_words(self) -> list[str]:
        """All words of the list."""
        return self.config.triggers

    def poisoned(
        self, view: AttackerView, rows: list[int], target: int, seeds: SeedStream
    ) -> Examples:
        """The chosen rows with the trigger and the target's label, and no others."""
        chosen = self.apply_trigger(view.train.select(rows), view.task, seeds)
        return chosen.with_labels([target] * len(rows))
