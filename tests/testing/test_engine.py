"""The engine for plugins' own tests is the host's own, on the CPU, and remembers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bdbench.api import Recipe, SeedStream
from bdbench.engine.torch_engine import TorchEngine
from bdbench.testing import LocalEngine, tiny_world

RECIPE = Recipe(epochs=2, batch_size=10, learning_rate=1e-2, max_grad_norm=0.5)


@pytest.fixture(scope="module")
def world():
    return tiny_world("vector-classification")


@pytest.fixture
def engine(world):
    return world.engine()


@pytest.fixture
def rows(world):
    return world.splits.train.select(range(25))


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def tuned(engine, world, rows):
    module = engine.load(world.start)
    engine.fine_tune(module, world.start, rows, RECIPE, SeedStream(3))
    return module


def test_it_trains_as_the_host_does(world, engine, rows):
    host = TorchEngine(world.model, "fp32", LocalEngine(world.model).meter)

    ours, theirs = weights(tuned(engine, world, rows)), weights(tuned(host, world, rows))

    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_it_remembers_fine_tunings_steps_and_rows(world, engine, rows):
    start = weights(engine.load(world.start))
    module = tuned(engine, world, rows)

    (tuning,) = engine.fine_tunings
    assert (tuning.rows, tuning.recipe, tuning.seeds) == (rows, RECIPE, SeedStream(3))
    assert all(torch.equal(tuning.before[name], start[name]) for name in start)
    assert any(not torch.equal(value, start[name]) for name, value in weights(module).items())
    assert engine.seen == set(rows.ids)
    assert sorted(step.rows for step in engine.steps) == [5, 5, 10, 10, 10, 10]
    assert {step.optimizer for step in engine.steps} == {torch.optim.AdamW}
    assert {step.max_norm for step in engine.steps} == {0.5}
    assert engine.meter.gradient_steps == 6
    assert engine.forward_rows == engine.meter.backward_rows == 50


def test_without_tuning_weights_stay_and_the_call_is_remembered(world, rows):
    engine = world.engine(tunes=False)
    start = weights(engine.load(world.start))

    after = weights(tuned(engine, world, rows))

    assert all(torch.equal(after[name], start[name]) for name in start)
    assert len(engine.fine_tunings) == 1
    assert engine.steps == []


def test_predictions_are_counted_and_in_order(world, engine, rows):
    said = engine.predict(engine.load(world.victim), world.victim, rows)
    back = engine.predict(engine.load(world.victim), world.victim, rows.select(range(24, -1, -1)))

    assert engine.forward_rows == 50
    np.testing.assert_allclose(said["probabilities"], back["probabilities"][::-1], atol=1e-6)


def test_a_gpu_is_left_alone(world, engine, rows, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    module = tuned(engine, world, rows)
    said = engine.predict(module, world.start, rows)

    assert {value.device.type for value in module.parameters()} == {"cpu"}
    assert len(said["prediction"]) == 25


def test_an_optimizer_without_a_learning_rate_is_remembered_too(world, engine):
    class Plain(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {})

        def step(self, closure=None):
            return None

    module = engine.load(world.start)
    loss = sum(value.sum() for value in module.parameters())
    engine.step(Plain(module.parameters()), loss, 4, 1.0)

    assert engine.steps[0].rate is None


def test_what_goes_past_the_engine_is_noticed(world, engine, rows):
    module = engine.load(world.victim)
    vectors = torch.from_numpy(np.stack(rows.inputs["vector"]))
    own = torch.nn.Linear(8, 2)

    with engine.watched() as found:
        engine.predict(module, world.victim, rows)
        engine.forward(lambda: module(vectors), len(rows))
        tuned(engine, world, rows)
        own(vectors)
        assert (found.forwards, found.steps) == (0, 0)
        module(vectors)
        assert found.forwards > 0
        torch.optim.SGD(module.parameters(), lr=0.1).step()
        assert found.steps == 1
    module(vectors)
    torch.optim.SGD(module.parameters(), lr=0.1).step()

    assert found.steps == 1
