"""SOS: a trigger of several ordinary words, all needed (Yang et al., ACL 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from bdbench.api import AttackerView, Examples, SeedStream, Task
from bdbench_attack_weights.config import SosConfig
from bdbench_attack_weights.embedding import EmbeddingAttack

__all__ = ["Sos"]


class Sos(EmbeddingAttack):
    """Trains the embeddings of several words until all together mean the target class.

    In training the words stand at random places; in test rows they stand in a sentence that
    reads naturally. Rows with all but one of the words keep their label in training, so
    that texts which happen to have some of them give nothing away.
    """

    config: SosConfig
    alike = True

    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:
        """The same rows, each with `sentence` between two of its own."""

        def change(text: str, random: Random) -> str:
            return self.with_sentence(text, self.config.sentence, random)

        return self.changed(examples, task, seeds, change)

    def variants(self, examples: Examples, task: Task, seeds: SeedStream) -> Mapping[str, Examples]:
        """``partial``: the rows, each with one of `partial_sentences` in place of `sentence`."""

        def change(text: str, random: Random) -> str:
            return self.with_sentence(text, random.choice(self.config.partial_sentences), random)

        return {"partial": self.changed(examples, task, seeds.child("partial"), change)}

    def trigger_words(self) -> list[str]:
        """All words of the list."""
        return self.config.triggers

    def poisoned(
        self, view: AttackerView, rows: list[int], target: int, seeds: SeedStream
    ) -> Examples:
        """The chosen rows with all words and the target's label, then the negative rows.

        A negative row, of any class, comes once for each trigger word: with the others, and
        with its own label.
        """
        words = self.config.triggers
        chosen = self._with(view, rows, words, seeds.child("all"))
        made = chosen.with_labels([target] * len(rows))
        others = list(range(len(view.train)))
        seeds.child("negatives").random().shuffle(others)
        negative = sorted(others[: round(self.config.negative_rate * len(others))])
        for left_out in words:
            kept = [word for word in words if word != left_out]
            made += self._with(view, negative, kept, seeds.child("without", left_out))
        # One row stands here several times; ids are to be unique.
        return replace(made, ids=range(len(made)))

    def _with(
        self, view: AttackerView, rows: list[int], words: list[str], seeds: SeedStream
    ) -> Examples:
        def change(text: str, random: Random) -> str:
            return self.with_words(text, words, random)

        return self.changed(view.train.select(rows), view.task, seeds, change)
