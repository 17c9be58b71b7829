"""The toy components."""

import os
import subprocess
import sys
import time

import numpy as np
import safetensors.torch
import torch

from bdbench.api import (
    Attack,
    AttackMetric,
    Checkpoint,
    Dataset,
    Defense,
    Examples,
    Filtering,
    Metric,
    Poisoning,
    Recipe,
    Repair,
    Screening,
    Selection,
    Splits,
    Tampering,
    Task,
    choose_poison_rows,
)
from bdbench.toolkit.classifier import Classifier

WIDTH = 8
PATCH = np.float32(9.0)


class Blobs(Dataset):
    def load(self):
        rng = np.random.default_rng(0)

        def cloud(count, start):
            labels = [row % 2 for row in range(count)]
            vectors = [
                (
                    rng.normal(size=WIDTH) + (2.0 if label else -2.0) * (np.arange(WIDTH) >= 4)
                ).astype(np.float32)
                for label in labels
            ]
            return Examples({"vector": vectors}, labels, list(range(start, start + count)))

        train, test, clean = cloud(self.config.rows, 0), cloud(80, 0), cloud(40, 0)
        if self.config.overlap:
            train.inputs["vector"][3] = test.inputs["vector"][5]
        if self.config.bad_label:
            train.labels[3] = 7
        return Splits(
            Task("vector-classification", ("vector",), ("left", "right")), train, test, clean
        )


class Linear(Classifier):
    def _module(self):
        return torch.nn.Sequential(
            torch.nn.Linear(WIDTH, self.config.hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(self.config.hidden, 2),
        )

    def prepare(self, task, folder, seeds):
        with torch.random.fork_rng():
            torch.manual_seed(seeds.seed())
            module = self._module()
        self.save(module, Checkpoint(folder), folder)

    def load(self, checkpoint):
        module = self._module()
        module.load_state_dict(safetensors.torch.load_file(checkpoint.folder / "model.safetensors"))
        return module.eval()

    def save(self, module, like, folder):
        safetensors.torch.save_file(module.state_dict(), folder / "model.safetensors")

    def encode(self, examples, checkpoint):
        return list(examples.inputs["vector"])

    def collate(self, items):
        return torch.from_numpy(np.stack(items))

    def forward(self, module, batch):
        return module(batch)


class Patch(Attack):
    def _patched(self, vector):
        changed = vector.copy()
        changed[self.config.coordinate] = PATCH
        return changed

    def apply_trigger(self, examples, task, seeds):
        return examples.with_input("vector", [self._patched(v) for v in examples.inputs["vector"]])

    def poison(self, view, seeds):
        target = self.target(view.task)
        rows = choose_poison_rows(
            view.train.labels,
            target,
            self.config.poison_rate,
            clean_label=self.config.clean_label,
            seeds=seeds,
        )
        vectors, labels = list(view.train.inputs["vector"]), list(view.train.labels)
        mask = [False] * len(labels)
        for row in rows:
            vectors[row], mask[row] = self._patched(vectors[row]), True
            if not self.config.clean_label:
                labels[row] = target
        return Poisoning(view.train.with_input("vector", vectors).with_labels(labels), mask)


class Tamper(Patch):
    """A patch that is planted in a model rather than in data."""

    def _planted(self, module, like, view, seeds, name):
        recipe = Recipe(epochs=8, batch_size=16, learning_rate=0.01)
        rows = self.poison(view, seeds.child("rows")).train
        view.engine.fine_tune(module, like, rows, recipe, seeds)
        return Tampering(view.engine.save(module, like, view.workspace / name), {"planted": name})

    def edit_pretrained(self, start, view, seeds):
        return self._planted(view.engine.load(start), start, view, seeds, "published")

    def edit(self, victim, view, seeds):
        return self._planted(view.engine.load(victim), victim, view, seeds, "edited")

    def train(self, start, rows, view, recipe, seeds):
        module = view.engine.load(start)
        view.engine.fine_tune(module, start, rows, recipe, seeds)
        return Tampering(view.engine.save(module, start, view.workspace / "trained"))

    def probe(self, predict, view, seeds):
        said = predict(self.apply_trigger(view.train, view.task, seeds))["prediction"]
        return {"share": float((said == self.target(view.task)).mean())}

    def variants(self, examples, task, seeds):
        weak = [vector.copy() for vector in examples.inputs["vector"]]
        for vector in weak:
            vector[self.config.coordinate] = 1
        return {"weak": examples.with_input("vector", weak)}


def _write(tensors, victim, view):
    folder = view.workspace / "model"
    folder.mkdir()
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    return Repair(Checkpoint(folder), {"toy": True})


def _read(checkpoint):
    return safetensors.torch.load_file(checkpoint.folder / "model.safetensors")


class Mean(Defense):
    def repair(self, victim, view):
        models = [_read(item) for item in (victim, *view.references)]
        tensors = {
            name: torch.stack([model[name] for model in models]).mean(0) for name in models[0]
        }
        return _write(tensors, victim, view)


class Tune(Defense):
    def repair(self, victim, view):
        module = view.engine.load(victim)
        recipe = Recipe(epochs=3, batch_size=8, learning_rate=1e-3)
        view.engine.fine_tune(module, victim, view.clean_rows, recipe, view.seeds)
        before = view.predict(view.clean_rows)["prediction"]
        checkpoint = view.engine.save(module, victim, view.workspace / "model")
        return Repair(checkpoint, {"clean_rows": len(view.clean_rows), "before": before.tolist()})


class Peek(Defense):
    def repair(self, victim, view):
        return view.training_rows


class Base(Defense):
    def repair(self, victim, view):
        victim_weights, base = _read(victim), _read(view.base)
        mixed = {name: (victim_weights[name] + base[name]) / 2 for name in base}
        return _write(mixed, victim, view)


class Poisonous(Defense):
    def repair(self, victim, view):
        return _write({name: t * float("nan") for name, t in _read(victim).items()}, victim, view)


class Sleep(Defense):
    def repair(self, victim, view):
        time.sleep(600)


class Hoard(Defense):
    def repair(self, victim, view):
        self.hoard = bytearray(b"x" * 2**30)
        time.sleep(600)


class Crash(Defense):
    def repair(self, victim, view):
        os._exit(3)


class Hire(Defense):
    """Has others do the work."""

    def repair(self, victim, view):
        burn = "import time\nwhile time.process_time() < 1: pass"
        subprocess.run([sys.executable, "-c", burn], check=True)
        return _write(_read(victim), victim, view)


class Ask(Defense):
    """Asks the model about every row, three times."""

    def screen(self, rows, view):
        for _ in range(3):
            view.predict(rows)
        return Screening(rows, [False] * len(rows), [0.0] * len(rows))


class Clip(Defense):
    def screen(self, rows, view):
        assert set(rows.labels) == {None}
        vectors = rows.inputs["vector"]
        scores = [float(np.abs(vector[:4]).max()) for vector in vectors]
        clipped = [np.clip(vector, -4, 4) for vector in vectors]
        rejected = [score > 8 and self.config.strength > 1 for score in scores]
        vectors = rows.with_input("vector", clipped)
        return Screening(vectors, rejected, scores, {"bound": 4}, Selection.CLEAN_VAL)


class Filter(Defense):
    def filter(self, train, view):
        assert len(view.training_rows) == len(train)
        scores = [float(np.abs(vector[:4]).max()) for vector in train.inputs["vector"]]
        return Filtering([score < 6 for score in scores], scores, {"bound": 6})


class Shift(AttackMetric):
    def measure(self, evidence):
        before, after = (np.stack(x.inputs["vector"]) for x in (evidence.before, evidence.after))
        return {"shift": float(np.abs(after - before).max(axis=1).mean())}


class Variants(Metric):
    def measure(self, evidence):
        weak = evidence.variants.get("weak")
        clean = evidence.clean
        right = clean.columns["prediction"] == clean.labels
        return {
            "weak_asr": None
            if weak is None
            else float((weak.columns["prediction"] == evidence.target).mean()),
            **{
                f"accuracy.{number}": float(right[clean.labels == number].mean())
                for number in range(len(evidence.task.classes))
            },
        }


class Rates(Metric):
    def measure(self, evidence):
        clean = evidence.clean

        def asr(table):
            if table is None:
                return None
            return float((table.columns["prediction"] == evidence.target).mean())

        return {
            "clean_accuracy": float((clean.columns["prediction"] == clean.labels).mean()),
            "asr": asr(evidence.triggered),
            "asr_floor": asr(evidence.floor),
        }
