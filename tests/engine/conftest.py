"""Single stages, run with components that a test makes up."""

from __future__ import annotations

import hashlib
import itertools
import sys
import types
from collections import defaultdict

import numpy as np
import pytest
import torch
from bdbench_toy.parts import WIDTH, Linear
from safetensors.torch import load_file

from bdbench.api import (
    Access,
    AttackSpec,
    Dataset,
    DatasetSpec,
    DefenseSpec,
    DefenseStage,
    Examples,
    MetricSpec,
    ModelSpec,
    Needs,
    PoisonConfig,
    Splits,
    Surface,
    Task,
    hookimpl,
)
from bdbench.engine.stages import run_stage
from bdbench.host.catalog import Host
from bdbench.host.plugins import LoadedPlugin, discover
from bdbench.store import objects
from bdbench.store.objects import Store

HOOKS = {
    AttackSpec: "bdbench_register_attacks",
    DatasetSpec: "bdbench_register_datasets",
    DefenseSpec: "bdbench_register_defenses",
    MetricSpec: "bdbench_register_metrics",
    ModelSpec: "bdbench_register_models",
}
TASK = Task("vector-classification", ("vector",), ("left", "right"))


class FailedError(Exception):
    """A stage ended with an error; `error` is what it said."""

    def __init__(self, error):
        super().__init__(f"{error['type']}: {error['what']}\n{error.get('traceback', '')}")
        self.error = error


class Bench:
    """Makes single stages.

    Attributes:
        store: Where they go.
    """

    def __init__(self, root):
        self.store = Store(root)
        self.module = types.ModuleType("bench_parts")
        self.specs = defaultdict(list)
        self.names = itertools.count()

    def part(self, spec, found, settings=None, *, rules=None, **declared):
        """Registers a class, and gives what a plan would say of it.

        `rules` is the class of its configuration.
        """
        number = next(self.names)
        name = f"part-{number}"
        setattr(self.module, f"Part{number}", found)
        if rules is not None:
            setattr(self.module, f"Config{number}", rules)
            declared["config"] = f"bench_parts:Config{number}"
        target = f"bench_parts:Part{number}"
        self.specs[spec].append(spec(name=name, target=target, summary="", **declared))
        return {"kind": spec.kind, "label": name, "component": name, "config": settings or {}}

    def attack(self, found, settings=None, **declared):
        surfaces = frozenset({Surface.DATA})
        return self.part(AttackSpec, found, settings, surfaces=surfaces, **declared)

    def defense(self, found, stage, **needs):
        stages = frozenset({DefenseStage(stage)})
        given = {"access": Access.WEIGHTS, "training_data": stage == "filter"}
        needs = Needs(**{**given, **needs})
        return self.part(DefenseSpec, found, stages=stages, needs=needs)

    def host(self):
        hooks = types.ModuleType("bench_hooks")
        for spec, hook in HOOKS.items():
            found = list(self.specs[spec])
            setattr(hooks, hook, hookimpl(_named(hook, found)))
        plugin = LoadedPlugin("bench", "1", "hooks", "bench_hooks")
        toy = [item for item in discover() if item[0].distribution == "bdbench-toy"]
        return Host([*toy, (plugin, lambda: hooks)])

    def run(self, kind, settings, seeds=(0,), **inputs):
        """Makes a stage and gives its key.

        Raises:
            FailedError: The stage failed.
        """
        key = hashlib.sha256(repr((kind, next(self.names))).encode()).hexdigest()
        document = {
            "kind": kind,
            "key": key,
            "inputs": inputs,
            "settings": {**settings, "seeds": list(seeds)},
        }
        error = run_stage(document, self.store, self.host())
        if error:
            raise FailedError(error)
        return key

    # --- the stages of a small cell -------------------------------------------------------------

    def training(self, **changes):
        recipe = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}
        model = {"kind": "model", "label": "linear", "component": "toy-linear", "config": {}}
        return {"model": model, "recipe": {**recipe, **changes}, "precision": "fp32"}

    def data(self, splits=None, limit=None):
        splits = splits or make_splits()

        class Given(Dataset):
            def load(self):
                return splits

        return self.run("data", {"dataset": self.part(DatasetSpec, Given), "limit": limit})

    def poison(self, attack, data=None, seed=0):
        return self.run("poison", {"attack": attack}, (seed, "poison"), data=data or self.data())

    def victim(self, data, seed=0, **inputs):
        return self.run("victim", self.training(), (seed, "victim"), data=data, **inputs)

    def treated(self, *, filters=(), repairs=(), clean_rows=0, seed=0, **inputs):
        settings = {"filters": filters, "repairs": repairs, "clean_rows": clean_rows}
        return self.run("treated", {**settings, **self.training()}, (seed, "defense"), **inputs)

    def predictions(self, *screens, clean_rows=0, **inputs):
        settings = {"screens": screens, "clean_rows": clean_rows, **self.training()}
        return self.run("predictions", settings, (0, "screen"), **inputs)

    def notes(self, key):
        return self.store.meta(key)["notes"]

    def folder(self, key):
        return self.store.open(key).folder

    def weights(self, key):
        return load_file(self.folder(key) / "model.safetensors")


class Cell:
    """A small cell under an attack of some surfaces.

    Attributes:
        data: The key of its data.
        base: The key of its model before any training.
    """

    def __init__(self, bench, splits):
        self.bench = bench
        self.data = bench.data(splits())
        self.base = bench.run("base", bench.training(), (0, "victim"), data=self.data)

    def attack(self, found, surfaces, **declared):
        surfaces = frozenset(surfaces)
        return self.bench.part(AttackSpec, found, rules=PoisonConfig, surfaces=surfaces, **declared)

    def make(self, kind, attack, **inputs):
        settings = {"attack": attack, **self.bench.training()}
        return self.bench.run(kind, settings, (0, kind), data=self.data, **inputs)

    def victim(self, attack=None, **inputs):
        settings = self.bench.training() | ({"attack": attack} if attack else {})
        return self.bench.run("victim", settings, (0, "victim"), data=self.data, **inputs)


def _named(name, found):
    def register():
        return found

    register.__name__ = name
    return register


def make_rows(count, start=0, seed=0):
    """Two clouds of vectors; the first number of a vector tells the row's id."""
    rng = np.random.default_rng((seed, start))
    labels = [row % 2 for row in range(count)]
    ids = list(range(start, start + count))
    vectors = []
    for row, label in zip(ids, labels, strict=True):
        vector = rng.normal(size=8).astype(np.float32) + np.float32(2 * label - 1)
        vector[0] = row / 1000
        vectors.append(vector)
    return Examples({"vector": vectors}, labels, ids)


def make_splits(train=40, test=20, clean=20):
    return Splits(TASK, make_rows(train), make_rows(test, 1000), make_rows(clean, 2000))


@pytest.fixture
def rows():
    """Makes rows of the toy task."""
    return make_rows


@pytest.fixture
def splits():
    """Makes splits of the toy task."""
    return make_splits


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Makes single stages."""
    bench = Bench(tmp_path / "store")
    monkeypatch.setitem(sys.modules, "bench_parts", bench.module)
    monkeypatch.setattr(objects, "_fsync", lambda _: None)
    return bench


@pytest.fixture
def cell(bench, splits):
    """A small cell under an attack of some surfaces."""
    return Cell(bench, splits)


@pytest.fixture
def attacked(bench, splits):
    """A small cell whose data a patch poisoned, and ways to run a defense on it."""

    class Attacked:
        data = bench.data(splits())
        poison = bench.poison(
            {
                "kind": "attack",
                "label": "patch",
                "component": "toy-patch",
                "config": {"coordinate": 1},
            },
            data,
        )
        victim = bench.victim(data, poison=poison)

        def filter(self, found, **needs):
            part = bench.defense(found, "filter", **needs)
            given = {"data": self.data, "poison": self.poison, "victim": self.victim}
            return bench.treated(filters=[part], **given)

        def repair(self, found, *, clean_rows=16, seed=0, inputs=None, **needs):
            part = bench.defense(found, "repair", **needs)
            given = {"data": self.data, "victim": self.victim, **(inputs or {})}
            return bench.treated(repairs=[part], clean_rows=clean_rows, seed=seed, **given)

    return Attacked()


@pytest.fixture
def refused():
    """Calls what must end with an error of a stage, and gives the error."""

    def refused(call, *args, **kwargs):
        with pytest.raises(FailedError) as caught:
            call(*args, **kwargs)
        return caught.value.error

    return refused


@pytest.fixture
def reads(monkeypatch):
    """Lets the toy family read the first so many numbers of a row only."""

    def reads(count):
        def encode(self, examples, checkpoint):
            return [tuple(vector[:count]) for vector in examples.inputs["vector"]]

        def collate(self, items):
            rows = np.zeros((len(items), WIDTH), dtype=np.float32)
            rows[:, :count] = items
            return torch.from_numpy(rows)

        monkeypatch.setattr(Linear, "encode", encode)
        monkeypatch.setattr(Linear, "collate", collate)
        monkeypatch.setattr(Linear, "is_cut", lambda self, item: count < WIDTH, raising=False)

    return reads
