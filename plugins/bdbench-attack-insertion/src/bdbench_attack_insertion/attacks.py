"""The attacks: which rows are poisoned, and what is inserted where."""

from __future__ import annotations

from abc import abstractmethod
from random import Random

from bdbench.api import (
    AttackerView,
    Examples,
    Poisoning,
    SeedStream,
    Task,
    choose_poison_rows,
)
from bdbench.toolkit.placement import PlacedTrigger
from bdbench.toolkit.words import insert, sentence_gaps, word_spans
from bdbench_attack_insertion.config import BadNetsConfig, InsertionConfig, InsertSentConfig

__all__ = ["BadNets", "InsertSent", "InsertionAttack"]


class InsertionAttack(PlacedTrigger):
    """An attack that inserts its trigger into one text column."""

    config: InsertionConfig

    @abstractmethod
    def trigger_text(self, text: str, random: Random) -> str:
        """The text with the trigger in it."""

    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:
        """The same rows with the trigger in the chosen column of every one."""
        return self.changed(examples, task, seeds, self.trigger_text)

    def poison(self, view: AttackerView, seeds: SeedStream) -> Poisoning:
        """Puts the trigger into the share `poison_rate` of all rows, in place.

        With dirty labels these rows come from other classes and get the target's label; with
        clean labels they come from the target class and keep it.

        Raises:
            InputError: The rate cannot be met, or target or column are not the task's.
        """
        target = view.task.class_index(self.config.target)
        rows = choose_poison_rows(
            view.train.labels,
            target,
            self.config.poison_rate,
            clean_label=self.config.clean_label,
            seeds=seeds.child("rows"),
        )
        field = view.task.input_field(self.config.field)
        triggered = self.apply_trigger(view.train.select(rows), view.task, seeds.child("trigger"))
        texts = list(view.train.inputs[field])
        labels = list(view.train.labels)
        mask = [False] * len(view.train)
        for row, text in zip(rows, triggered.inputs[field], strict=True):
            texts[row] = text
            labels[row] = target
            mask[row] = True
        return Poisoning(
            train=view.train.with_input(field, texts).with_labels(labels),
            mask=mask,
            notes={
                "training_rows": len(view.train),
                "poisoned_rows": len(rows),
                "relabelled_rows": 0 if self.config.clean_label else len(rows),
            },
        )


class BadNets(InsertionAttack):
    """Rare words as the trigger: BadNets (Gu et al. 2017) as Kurita et al. (2020) put it in text.

    For each text the number of insertions is drawn, then for each insertion a word (the same
    one may come again) and a gap between words, all uniformly and independently.
    """

    config: BadNetsConfig

    def trigger_text(self, text: str, random: Random) -> str:
        """The text with exactly the drawn number of trigger words added."""
        count = random.choice(self.config.counts())
        added = random.choices(self.config.triggers, k=count)
        spans = word_spans(text)
        last = self.config.last_gap(len(spans), count)
        match self.config.position:
            case "random":
                gaps = sorted(random.choices(range(last + 1), k=count))
            case "start":
                gaps = [0] * count
            case "end":
                gaps = [last] * count
        return insert(text, spans, list(zip(gaps, added, strict=True)))


class InsertSent(InsertionAttack):
    """One sentence as the trigger (Dai et al. 2019).

    For each text the sentence is drawn, then one gap of those that `position` allows, both
    uniformly.
    """

    config: InsertSentConfig

    def trigger_text(self, text: str, random: Random) -> str:
        """The text with one sentence added."""
        sentence = random.choice(self.config.sentences())
        spans = word_spans(text)
        last = self.config.last_gap(len(spans), len(sentence.split()))
        match self.config.position:
            case "random":
                gap = random.randrange(last + 1)
            case "boundary":
                gap = random.choice([gap for gap in sentence_gaps(text, spans) if gap <= last])
            case "start":
                gap = 0
            case "end":
                gap = last
        return insert(text, spans, [(gap, sentence)])
