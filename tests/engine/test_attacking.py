"""Attacks on models: published weights, tampered training, edited victims, probed victims."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bdbench.api import Attack, Checkpoint, Defense, Filtering, Surface, Tampering
from bdbench.engine.rows import read_examples

MODEL = "model.safetensors"


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


class Bend(Attack):
    """Shifts the first bias of whatever model it is given."""

    def shifted(self, checkpoint, view):
        weights = load_file(checkpoint.folder / MODEL)
        weights["0.bias"] = weights["0.bias"] + 1
        folder = view.workspace / "bent"
        folder.mkdir()
        save_file(weights, folder / MODEL)
        return Tampering(Checkpoint(folder), {"rows": len(view.train)})

    def edit_pretrained(self, start, view, seeds):
        assert same(*(load_file(found.folder / MODEL) for found in (start, view.start)))
        return self.shifted(start, view)

    def edit(self, victim, view, seeds):
        return self.shifted(victim, view)

    def train(self, start, rows, view, recipe, seeds):
        module = view.engine.load(start)
        view.engine.fine_tune(module, start, rows, recipe, seeds, objective=self.objective)
        checkpoint = view.engine.save(module, start, view.workspace / "trained")
        return Tampering(checkpoint, {"seen": len(rows)})

    def objective(self, module, inputs, labels):
        answers = torch.as_tensor(labels)
        return torch.nn.functional.cross_entropy(module(inputs), answers, reduction="none")

    def patched(self, examples, place, value):
        vectors = [vector.copy() for vector in examples.inputs["vector"]]
        for vector in vectors:
            vector[place] = value
        return examples.with_input("vector", vectors)

    def apply_trigger(self, examples, task, seeds):
        return self.patched(examples, getattr(self, "chosen", 1), 9)

    def probe(self, predict, view, seeds):
        rows = view.train.select(range(10))
        hits = [
            float((predict(self.patched(rows, place, 9))["prediction"] == 1).mean())
            for place in range(8)
        ]
        self.chosen = int(np.argmax(hits))
        return {"hits": hits, "chosen": self.chosen}


# --- surfaces -----------------------------------------------------------------------------------


def test_a_victim_starts_from_the_weights_that_an_attacker_published(cell, bench):
    attack = cell.attack(Bend, {Surface.PRETRAINED})
    published = cell.make("pretrained", attack, base=cell.base)
    honest, misled = cell.victim(), cell.victim(pretrained=published)

    before, after = bench.weights(cell.base), bench.weights(published)
    assert torch.equal(after["0.bias"], before["0.bias"] + 1)
    assert bench.notes(published) == {"rows": 40}
    assert not same(bench.weights(honest), bench.weights(misled))
    # With a learning rate of nothing, the victim is what was published.
    frozen = bench.run(
        "victim",
        bench.training(epochs=1, learning_rate=1e-30, weight_decay=0.0),
        (0, "victim"),
        data=cell.data,
        pretrained=published,
    )
    assert same(bench.weights(frozen), after)


def test_an_attacker_who_trains_as_the_host_does_leaves_the_hosts_victim(cell, bench):
    tampered = cell.victim(cell.attack(Bend, {Surface.TRAINING}))

    assert same(bench.weights(cell.victim()), bench.weights(tampered))
    assert bench.notes(tampered) == {"seen": 40, "training_rows": 40}
    assert bench.store.meta(tampered)["cost"]["gradient_steps"] == 2 * 5
    assert bench.store.meta(tampered)["cost"]["forward_rows"] == 2 * 40


def test_an_attacker_may_train_towards_something_else(cell, bench):
    class Blind(Bend):
        def objective(self, module, inputs, labels):
            return module(inputs).pow(2).sum(dim=1)

    tampered = cell.victim(cell.attack(Blind, {Surface.TRAINING}))

    assert not same(bench.weights(cell.victim()), bench.weights(tampered))


def test_an_objective_must_give_the_loss_of_each_row(cell, refused):
    class Mean(Bend):
        def objective(self, module, inputs, labels):
            return module(inputs).mean()

    error = refused(cell.victim, cell.attack(Mean, {Surface.TRAINING}))

    assert error["what"] == "an objective must give the loss of each row"


def test_a_trained_victim_can_be_edited_and_the_trained_one_stays(cell, bench):
    victim = cell.victim()
    before = bench.weights(victim)
    edited = cell.make(
        "edited", cell.attack(Bend, {Surface.WEIGHTS}), base=cell.base, victim=victim
    )

    after = bench.weights(edited)
    assert torch.equal(after["0.bias"], before["0.bias"] + 1)
    assert same(before, bench.weights(victim))


@pytest.mark.parametrize("kind", ["pretrained", "edited"])
def test_an_attacker_must_write_a_new_model(cell, refused, kind):
    class Lazy(Bend):
        def shifted(self, checkpoint, view):
            return Tampering(checkpoint)

    surfaces = {Surface.PRETRAINED, Surface.WEIGHTS}
    inputs = {"base": cell.base} | ({"victim": cell.victim()} if kind == "edited" else {})
    error = refused(cell.make, kind, cell.attack(Lazy, surfaces), **inputs)

    assert "no new model was written" in error["found"]


def test_a_model_of_an_attacker_must_be_finite(cell, refused):
    class Broken(Bend):
        def shifted(self, checkpoint, view):
            made = super().shifted(checkpoint, view)
            weights = load_file(made.checkpoint.folder / MODEL)
            weights["0.bias"][0] = float("nan")
            save_file(weights, made.checkpoint.folder / MODEL)
            return made

    attack = cell.attack(Broken, {Surface.PRETRAINED})

    assert refused(cell.make, "pretrained", attack, base=cell.base)["type"] == "NonFiniteError"


def test_a_filter_trains_honestly_from_where_the_victim_started(cell, bench):
    class KeepAll(Defense):
        def filter(self, train, view):
            return Filtering([True] * len(train), [0.0] * len(train))

    part = bench.defense(KeepAll, "filter")
    published = cell.make("pretrained", cell.attack(Bend, {Surface.PRETRAINED}), base=cell.base)
    misled = cell.victim(pretrained=published)
    treated = bench.treated(filters=[part], data=cell.data, victim=misled, pretrained=published)

    assert same(bench.weights(misled), bench.weights(treated))


# --- probing ------------------------------------------------------------------------------------


def test_an_attacker_who_probes_uses_what_the_victim_said(cell, bench):
    attack = cell.attack(Bend, {Surface.WEIGHTS}, probes_victim=True)
    victim = cell.victim()
    poison = cell.make("poison", attack)
    triggered = cell.make("triggered", attack, base=cell.base, victim=victim)

    assert not (bench.folder(poison) / "triggered.parquet").exists()
    notes = bench.notes(triggered)
    chosen = notes["chosen"]
    assert notes["hits"][chosen] == max(notes["hits"])
    assert notes["triggered_rows"] == 10
    assert bench.store.meta(triggered)["values"] == {"target": 1}
    rows = read_examples(bench.folder(triggered) / "triggered.parquet")
    assert all(vector[chosen] == 9 for vector in rows.inputs["vector"])
