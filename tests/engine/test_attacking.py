"""Attacks on models: published weights, tampered training, edited victims, probed victims."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from bdbench.api import (
    Attack,
    AttackMetric,
    AttackSpec,
    Checkpoint,
    Direction,
    Metric,
    MetricSpec,
    MetricValue,
    PoisonConfig,
    Subject,
    Surface,
    Tampering,
)
from bdbench.engine.rows import read_examples

MODEL = "model.safetensors"


def tensors(folder):
    return safetensors.torch.load_file(Path(folder) / MODEL)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


class Bend(Attack):
    """Shifts the first bias of whatever model it is given."""

    def shifted(self, checkpoint, view):
        weights = tensors(checkpoint.folder)
        weights["0.bias"] = weights["0.bias"] + 1
        folder = view.workspace / "bent"
        folder.mkdir()
        safetensors.torch.save_file(weights, folder / MODEL)
        return Tampering(Checkpoint(folder), {"rows": len(view.train)})

    def edit_pretrained(self, start, view, seeds):
        assert same(tensors(start.folder), tensors(view.start.folder))
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

    def variants(self, examples, task, seeds):
        half = examples.select(range(0, len(examples), 2))
        return {"weak": self.patched(half, 1, 3), "strong-2": self.patched(examples, 1, 30)}


class Cell:
    """A small cell under an attack of some surfaces."""

    def __init__(self, bench, splits):
        self.bench = bench
        self.data = bench.data(splits())
        self.base = bench.run("base", bench.training(), (0, "victim"), data=self.data)

    def attack(self, surfaces=(), found=Bend, **declared):
        return self.bench.part(
            AttackSpec, found, rules=PoisonConfig, surfaces=frozenset(surfaces), **declared
        )

    def make(self, kind, attack, **inputs):
        settings = {"attack": attack, **self.bench.training()}
        return self.bench.run(kind, settings, (0, kind), data=self.data, **inputs)

    def victim(self, attack=None, **inputs):
        settings = self.bench.training() | ({"attack": attack} if attack else {})
        return self.bench.run("victim", settings, (0, "victim"), data=self.data, **inputs)


@pytest.fixture
def cell(bench, splits):
    return Cell(bench, splits)


# --- surfaces -----------------------------------------------------------------------------------


def test_a_victim_starts_from_the_weights_that_an_attacker_published(cell, bench):
    attack = cell.attack({Surface.PRETRAINED})
    published = cell.make("pretrained", attack, base=cell.base)
    honest, misled = cell.victim(), cell.victim(pretrained=published)

    before, after = tensors(bench.folder(cell.base)), tensors(bench.folder(published))
    assert torch.equal(after["0.bias"], before["0.bias"] + 1)
    assert bench.notes(published) == {"rows": 40}
    assert not same(tensors(bench.folder(honest)), tensors(bench.folder(misled)))
    # With a learning rate of nothing, the victim is what was published.
    frozen = bench.run(
        "victim",
        bench.training(epochs=1, learning_rate=1e-30, weight_decay=0.0),
        (0, "victim"),
        data=cell.data,
        pretrained=published,
    )
    assert same(tensors(bench.folder(frozen)), after)


def test_an_attacker_who_trains_as_the_host_does_leaves_the_hosts_victim(cell, bench):
    tampered = cell.victim(cell.attack({Surface.TRAINING}))

    assert same(tensors(bench.folder(cell.victim())), tensors(bench.folder(tampered)))
    assert bench.notes(tampered) == {"seen": 40, "training_rows": 40}
    assert bench.store.meta(tampered)["cost"]["gradient_steps"] == 2 * 5
    assert bench.store.meta(tampered)["cost"]["forward_rows"] == 2 * 40


def test_an_attacker_may_train_towards_something_else(cell, bench):
    class Blind(Bend):
        def objective(self, module, inputs, labels):
            return module(inputs).pow(2).sum(dim=1)

    tampered = cell.victim(cell.attack({Surface.TRAINING}, Blind))

    assert not same(tensors(bench.folder(cell.victim())), tensors(bench.folder(tampered)))


def test_an_objective_must_give_the_loss_of_each_row(cell, refused):
    class Mean(Bend):
        def objective(self, module, inputs, labels):
            return module(inputs).mean()

    error = refused(cell.victim, cell.attack({Surface.TRAINING}, Mean))

    assert error["what"] == "an objective must give the loss of each row"


def test_a_trained_victim_can_be_edited_and_the_trained_one_stays(cell, bench):
    victim = cell.victim()
    before = tensors(bench.folder(victim))
    edited = cell.make("edited", cell.attack({Surface.WEIGHTS}), base=cell.base, victim=victim)

    after = tensors(bench.folder(edited))
    assert torch.equal(after["0.bias"], before["0.bias"] + 1)
    assert same(before, tensors(bench.folder(victim)))


@pytest.mark.parametrize("kind", ["pretrained", "edited"])
def test_an_attacker_must_write_a_new_model(cell, refused, kind):
    class Lazy(Bend):
        def shifted(self, checkpoint, view):
            return Tampering(checkpoint)

    surfaces = {Surface.PRETRAINED, Surface.WEIGHTS}
    inputs = {"base": cell.base} | ({"victim": cell.victim()} if kind == "edited" else {})
    error = refused(cell.make, kind, cell.attack(surfaces, Lazy), **inputs)

    assert "no new model was written" in error["found"]


def test_a_model_of_an_attacker_must_be_finite(cell, refused):
    class Broken(Bend):
        def shifted(self, checkpoint, view):
            made = super().shifted(checkpoint, view)
            weights = tensors(made.checkpoint.folder)
            weights["0.bias"][0] = float("nan")
            safetensors.torch.save_file(weights, made.checkpoint.folder / MODEL)
            return made

    attack = cell.attack({Surface.PRETRAINED}, Broken)

    assert refused(cell.make, "pretrained", attack, base=cell.base)["type"] == "NonFiniteError"


def test_a_filter_trains_honestly_from_where_the_victim_started(cell, bench):
    from bdbench.api import Defense, Filtering

    class KeepAll(Defense):
        def filter(self, train, view):
            return Filtering([True] * len(train), [0.0] * len(train))

    part = bench.defense(KeepAll, "filter")
    published = cell.make("pretrained", cell.attack({Surface.PRETRAINED}), base=cell.base)
    misled = cell.victim(pretrained=published)
    treated = bench.treated(filters=[part], data=cell.data, victim=misled, pretrained=published)

    assert same(tensors(bench.folder(misled)), tensors(bench.folder(treated)))


# --- probing ------------------------------------------------------------------------------------


def test_an_attacker_who_probes_uses_what_the_victim_said(cell, bench):
    attack = cell.attack({Surface.WEIGHTS}, probes_victim=True)
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


# --- variants -----------------------------------------------------------------------------------


@pytest.fixture
def varied(cell, bench):
    """The key of a stage with variants, and of a victim."""

    class Varied(Attack):
        edit, patched = Bend.edit, Bend.patched
        variants, apply_trigger = Bend.variants, Bend.apply_trigger

    attack = cell.attack({Surface.WEIGHTS}, Varied, makes_variants=True)
    return cell.make("poison", attack), cell.victim()


def test_variants_stand_beside_the_triggered_rows(varied, bench):
    poison, _ = varied

    assert bench.notes(poison)["variants"] == {"weak": 5, "strong-2": 10}
    rows = read_examples(bench.folder(poison) / "variants.parquet")
    assert [vector[1] for vector in rows.inputs["vector"]] == [3] * 5 + [30] * 10
    assert rows.ids == list(range(15))


def measured(bench, kind, found, subject, inputs, **declared):
    values = (MetricValue(name="value", summary="", direction=Direction.NONE, **declared),)
    part = bench.part(MetricSpec, found, values=values, subject=subject)
    key = bench.run(kind, {"metrics": [part]}, **inputs)
    return json.loads((bench.folder(key) / "scores.json").read_text("utf-8"))


def evidence_of(bench, varied, cell, **more):
    """What a metric of the cell sees."""
    poison, victim = varied
    seen = []

    class See(Metric):
        def measure(self, evidence):
            seen.append(evidence)
            return {"value": 1.0}

    clean = bench.predictions(data=cell.data, model=victim)
    triggered = bench.predictions(data=cell.data, model=victim, triggered=poison)
    variants = bench.predictions(data=cell.data, model=victim, variants=poison)
    inputs = {
        "data": cell.data,
        "triggered": poison,
        "predictions_clean": clean,
        "undefended_clean": clean,
        "control_clean": clean,
        "predictions_triggered": triggered,
        "undefended_triggered": triggered,
        "floor": triggered,
        "predictions_variants": variants,
        "undefended_variants": variants,
        **more,
    }
    measured(bench, "scores", See, Subject.CELL, inputs)
    return seen[0]


def test_the_answers_to_variants_are_told_apart(varied, cell, bench):
    evidence = evidence_of(bench, varied, cell)

    assert [*evidence.variants] == [*evidence.undefended_variants] == ["weak", "strong-2"]
    every = evidence.variants["strong-2"]
    assert every.ids.tolist() == evidence.triggered.ids.tolist()
    assert every.labels.tolist() == evidence.triggered.labels.tolist()
    assert evidence.variants["weak"].ids.tolist() == every.ids.tolist()[::2]
    assert every.columns["probabilities"].shape == (10, 2)
    assert evidence.attack.after.ids == evidence.triggered.ids.tolist()
    assert evidence.attack.variants["strong-2"].ids == every.ids.tolist()


def test_a_metric_of_attacks_sees_the_rows_before_and_after(varied, cell, bench):
    seen = []

    class See(AttackMetric):
        def measure(self, evidence):
            seen.append(evidence)
            return {"value": 0.5}

    inputs = {"data": cell.data, "triggered": varied[0]}
    assert measured(bench, "attack_scores", See, Subject.ATTACK, inputs) == {"value": 0.5}

    (evidence,) = seen
    assert (evidence.target, len(evidence.before), len(evidence.after)) == (1, 10, 10)
    assert evidence.before.ids == evidence.after.ids
    assert evidence.before.labels == evidence.after.labels == [0] * 10
    assert all(vector[1] == 9 for vector in evidence.after.inputs["vector"])
    assert all(vector[1] != 9 for vector in evidence.before.inputs["vector"])
    assert {name: len(rows) for name, rows in evidence.variants.items()} == {
        "weak": 5,
        "strong-2": 10,
    }


def test_the_scores_of_the_attack_stand_among_those_of_the_cell(varied, cell, bench):
    class Measure(AttackMetric):
        def measure(self, evidence):
            return {"value": 0.5}

    values = (MetricValue(name="value", summary="", direction=Direction.NONE),)
    part = bench.part(MetricSpec, Measure, values=values, subject=Subject.ATTACK)
    scores = bench.run("attack_scores", {"metrics": [part]}, data=cell.data, triggered=varied[0])
    clean = bench.predictions(data=cell.data, model=varied[1])
    roles = ("predictions_clean", "undefended_clean", "control_clean")
    key = bench.run(
        "scores",
        {"metrics": []},
        data=cell.data,
        attack_scores=scores,
        **dict.fromkeys(roles, clean),
    )

    assert json.loads((bench.folder(key) / "scores.json").read_text("utf-8")) == {"value": 0.5}


WRONG = {
    "labels": lambda rows: rows.with_labels([1] * len(rows)),
    "unknown ids": lambda rows: type(rows)(rows.inputs, rows.labels, range(9000, 9000 + len(rows))),
    "no rows": lambda rows: rows.select([]),
    "an id twice": lambda rows: rows.select([0, 0]),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_variant_keeps_ids_and_labels(cell, refused, change):
    class Varied(Attack):
        edit, patched, apply_trigger = Bend.edit, Bend.patched, Bend.apply_trigger

        def variants(self, examples, task, seeds):
            return {"weak": change(examples)}

    attack = cell.attack({Surface.WEIGHTS}, Varied, makes_variants=True)

    assert "changed the ids or labels" in refused(cell.make, "poison", attack)["found"]


def test_a_variant_has_a_plain_name(cell, refused):
    class Varied(Attack):
        edit, patched, apply_trigger = Bend.edit, Bend.patched, Bend.apply_trigger

        def variants(self, examples, task, seeds):
            return {"../weak": examples}

    attack = cell.attack({Surface.WEIGHTS}, Varied, makes_variants=True)

    assert "not named by letters" in refused(cell.make, "poison", attack)["found"]


# --- per class, and what filters decided ----------------------------------------------------------


def test_a_value_for_each_class_has_the_number_of_the_class(varied, cell, bench, refused):
    def giving(*names):
        class Measure(AttackMetric):
            def measure(self, evidence):
                return dict.fromkeys(names, 0.5)

        inputs = {"data": cell.data, "triggered": varied[0]}
        return measured(bench, "attack_scores", Measure, Subject.ATTACK, inputs, per_class=True)

    assert giving("value.0", "value.1") == {"value.0": 0.5, "value.1": 0.5}
    assert refused(giving, "value.0")["expected"] == "value.0, value.1"
    assert refused(giving, "value")["expected"] == "value.0, value.1"


def test_what_filters_decided_stands_beside_what_was_poisoned(cell, bench):
    from bdbench.api import Defense, Filtering

    def filtering(low, high):
        class Filter(Defense):
            def filter(self, train, view):
                keep = [not low <= row < high for row in train.ids]
                return Filtering(keep, [float(row) for row in train.ids])

        return bench.defense(Filter, "filter")

    patch = {"kind": "attack", "label": "a", "component": "toy-patch", "config": {}}
    poison = bench.poison(patch, cell.data)
    victim = cell.victim(poison=poison)
    treated = bench.treated(
        filters=[filtering(0, 4), filtering(2, 9)], data=cell.data, victim=victim, poison=poison
    )
    seen = []

    class See(Metric):
        def measure(self, evidence):
            seen.append(evidence.filtering)
            return {"value": 1.0}

    clean = bench.predictions(data=cell.data, model=treated)
    roles = ("predictions_clean", "undefended_clean", "control_clean")
    inputs = {"data": cell.data, "treated": treated, **dict.fromkeys(roles, clean)}
    measured(bench, "scores", See, Subject.CELL, {**inputs, "poison": poison})
    measured(bench, "scores", See, Subject.CELL, inputs)

    mask = pq.read_table(bench.folder(poison) / "mask.parquet").to_pydict()
    attacked, control = seen
    assert attacked.ids.tolist() == mask["id"] == list(range(40))
    assert attacked.poisoned.tolist() == mask["poisoned"]
    assert attacked.kept.tolist() == [row >= 9 for row in range(40)]
    assert attacked.scores.tolist() == [float(row) for row in range(40)]
    assert not control.poisoned.any()


# --- screens without a model ----------------------------------------------------------------------


def test_what_a_screen_makes_without_a_model_is_what_it_makes_before_one(cell, bench):
    from bdbench.api import Defense, Screening, Selection
    from bdbench.engine.predictions import read_predictions

    class Flip(Defense):
        def screen(self, rows, view):
            pairs = zip(rows.ids, rows.inputs["vector"], strict=True)
            vectors = [vector if row % 3 else -vector for row, vector in pairs]
            return Screening(
                rows.with_input("vector", vectors),
                [row % 5 == 0 for row in rows.ids],
                [row / 7 for row in rows.ids],
                {"flips": True},
                Selection.CLEAN_VAL,
            )

    part = bench.defense(Flip, "screen", access=0)
    victim = cell.victim()
    settings = {"screens": [part], "clean_rows": 0, **bench.training()}
    screened = bench.run("screened", settings, (0, "screen"), data=cell.data)
    shared = bench.predictions(data=cell.data, model=victim, screened=screened)
    alone = bench.predictions(part, data=cell.data, model=victim)

    one, other = (read_predictions(bench.folder(key)) for key in (shared, alone))
    for name in ("ids", "labels", "rejected", "scores", "rewritten"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert one.rewritten.tolist() == [row % 3 == 0 for row in one.ids]
    assert np.array_equal(one.columns["prediction"], other.columns["prediction"])
    assert bench.notes(screened) == bench.notes(alone) == {part["label"]: {"flips": True}}
    for key in (screened, alone):
        assert bench.store.meta(key)["values"] == {"selection": ["clean_val"]}
