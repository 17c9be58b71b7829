"""Attacks."""

import contextlib
import os
import random
import tempfile
from pathlib import Path

import numpy as np

from bdbench.api import Attack, Poisoning, Tampering, choose_poison_rows


def mark(vector, value=9):
    changed = vector.copy()
    changed[0] = value
    return changed


class Sound(Attack):
    """Sets the first coordinate."""

    def changed(self, vector, row_id, seeds):
        return mark(vector, 9 + seeds.child(row_id).random().random())

    def apply_trigger(self, examples, task, seeds):
        rows = zip(examples.inputs["vector"], examples.ids, strict=True)
        return examples.with_input("vector", [self.changed(*row, seeds) for row in rows])

    def chosen(self, view, seeds):
        config = self.config
        return choose_poison_rows(
            view.train.labels,
            self.target(view.task),
            config.poison_rate,
            clean_label=config.clean_label,
            seeds=seeds,
        )

    def label(self, label, target):
        return label if self.config.clean_label else target

    def poison(self, view, seeds):
        rows = self.chosen(view, seeds)
        target = self.target(view.task)
        triggered = self.apply_trigger(view.train, view.task, seeds)
        vectors, labels = list(view.train.inputs["vector"]), list(view.train.labels)
        for row in rows:
            vectors[row] = triggered.inputs["vector"][row]
            labels[row] = self.label(labels[row], target)
        mask = [row in set(rows) for row in range(len(labels))]
        return Poisoning(view.train.with_input("vector", vectors).with_labels(labels), mask)


class Drawing(Sound):
    def poison(self, view, seeds):
        random.random()
        return super().poison(view, seeds)


class Mutating(Sound):
    def poison(self, view, seeds):
        done = super().poison(view, seeds)
        view.train.inputs["vector"].append(None)
        return done


class MutatingArrays(Sound):
    """Changes rows of the clean training set that its result has no part of."""

    def poison(self, view, seeds):
        done = super().poison(view, seeds)
        for row, poisoned in enumerate(done.mask):
            view.train.inputs["vector"][row][1] += poisoned
        return done


class MutatingTests(Sound):
    def apply_trigger(self, examples, task, seeds):
        done = super().apply_trigger(examples, task, seeds)
        for vector in examples.inputs["vector"]:
            vector[1] += seeds.path[-1] == "trigger"
        return done


class MutatingOthers(Sound):
    """Keeps all test rows, and changes those that are not eligible."""

    def eligible(self, examples, task):
        self.rows = examples
        return super().eligible(examples, task)

    def variants(self, examples, task, seeds):
        chosen = set(examples.ids)
        for row_id, vector in zip(self.rows.ids, self.rows.inputs["vector"], strict=True):
            vector[1] += row_id not in chosen
        return {"part": examples}


class Unseeded(Sound):
    def __init__(self, config):
        super().__init__(config)
        self.value = None

    def changed(self, vector, row_id, seeds):
        self.value = self.value or 9 + random.SystemRandom().random()
        return mark(vector, self.value)


class Hashing(Sound):
    def changed(self, vector, row_id, seeds):
        return mark(vector, 9 + hash("the order of a set") % 997)


class OneTooFew(Sound):
    def chosen(self, view, seeds):
        return super().chosen(view, seeds)[1:]


class OtherLabel(Sound):
    def chosen(self, view, seeds):
        if self.config.clean_label:
            return super().chosen(view, seeds)
        count = round(self.config.poison_rate * len(view.train))
        return [row for row, label in enumerate(view.train.labels) if label == 1][:count]

    def label(self, label, target):
        return label if self.config.clean_label else 0


class Unsettable(Sound):
    def chosen(self, view, seeds):
        return [row for row, label in enumerate(view.train.labels) if label == 0][:5]

    def label(self, label, target):
        return 1

    def target(self, task):
        return 1


class NeverALabel(Sound):
    def label(self, label, target):
        return label


class AlwaysALabel(Sound):
    def chosen(self, view, seeds):
        count = round(self.config.poison_rate * len(view.train))
        return [row for row, label in enumerate(view.train.labels) if label == 0][:count]

    def label(self, label, target):
        return target


class OtherClasses(AlwaysALabel):
    def label(self, label, target):
        return label if self.config.clean_label else target


class WrongMask(Sound):
    def poison(self, view, seeds):
        done = super().poison(view, seeds)
        mask = list(done.mask)
        hit, miss = mask.index(True), mask.index(False)
        mask[hit], mask[miss] = False, True
        return Poisoning(done.train, mask)


class Relabelling(Sound):
    def apply_trigger(self, examples, task, seeds):
        return super().apply_trigger(examples, task, seeds).with_labels([1] * len(examples))

    def poison(self, view, seeds):
        done = super().poison(view, seeds)
        return Poisoning(done.train, done.mask)


class Reordering(Sound):
    def variants(self, examples, task, seeds):
        part = examples.select([0, 1])
        return {"part": part.with_labels([1, 0])}


class EligibleAll(Sound):
    def eligible(self, examples, task):
        return [True] * len(examples)


class OneLeftOut(Sound):
    def apply_trigger(self, examples, task, seeds):
        done = super().apply_trigger(examples, task, seeds)
        vectors = [
            before if row_id % 7 == 0 and seeds.path[-1] == "trigger" else after
            for before, after, row_id in zip(
                examples.inputs["vector"], done.inputs["vector"], examples.ids, strict=True
            )
        ]
        return done.with_input("vector", vectors)


class Sequential(Sound):
    def apply_trigger(self, examples, task, seeds):
        stream = seeds.random()
        vectors = [mark(vector, 9 + stream.random()) for vector in examples.inputs["vector"]]
        return examples.with_input("vector", vectors)


class ByBatch(Sound):
    def apply_trigger(self, examples, task, seeds):
        mean = float(np.mean([vector[1] for vector in examples.inputs["vector"]]))
        vectors = [mark(vector, 9 + mean) for vector in examples.inputs["vector"]]
        return examples.with_input("vector", vectors)


class Edits(Attack):
    """Trains the victim a little further."""

    def target(self, task):
        return 1

    def apply_trigger(self, examples, task, seeds):
        return examples.with_input("vector", [mark(v) for v in examples.inputs["vector"]])

    def edit(self, victim, view, seeds):
        module = view.engine.load(victim)
        return Tampering(view.engine.save(module, victim, view.workspace / "model"))


class SameModel(Edits):
    def edit(self, victim, view, seeds):
        return Tampering(victim)


class Beside(Edits):
    def edit(self, victim, view, seeds):
        module = view.engine.load(victim)
        return Tampering(view.engine.save(module, victim, view.workspace.parent / "beside"))


class VectorsOnly(Sound):
    """Says that it works for texts, too."""


class Crashing(Sound):
    def poison(self, view, seeds):
        raise ValueError("it never worked")


class Leaving(Sound):
    def poison(self, view, seeds):
        raise SystemExit(0)


class Misspelling(Sound):
    def poison(self, view, seeds):
        import nunpy

        return nunpy.poison(view)


class Writing(Sound):
    def poison(self, view, seeds):
        with contextlib.suppress(OSError):
            Path("/no-such-folder/notes.txt").write_text("poisoned", "utf-8")
        return super().poison(view, seeds)


class Setting(Sound):
    def poison(self, view, seeds):
        os.environ["BDBENCH_BROKEN"] = "poisoned"
        return super().poison(view, seeds)


class Wandering(Sound):
    def poison(self, view, seeds):
        os.chdir(tempfile.gettempdir())
        return super().poison(view, seeds)
