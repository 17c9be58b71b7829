"""One loop trains everything; seeds decide it to the last bit, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bdbench.api import Checkpoint, InputError, NonFiniteError, Recipe, SeedStream
from bdbench.engine.inference import predict
from bdbench.engine.meter import Meter
from bdbench.engine.numerics import settle
from bdbench.engine.torch_engine import TorchEngine
from bdbench.engine.training import _factor
from bdbench.toolkit.classifier import Classifier

RECIPE = Recipe(epochs=3, batch_size=8, learning_rate=0.01)


class Net(Classifier):
    """Vectors in, classes out, with dropout."""

    def prepare(self, task, folder, seeds): ...

    def load(self, checkpoint):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return torch.nn.Sequential(
                torch.nn.Linear(7, 16), torch.nn.Dropout(0.5), torch.nn.Linear(16, 2)
            )

    def save(self, module, like, folder): ...

    def encode(self, examples, checkpoint):
        return list(examples.inputs["vector"])

    def size(self, item):
        return int(abs(item[1] * 10)) + 1

    def collate(self, items):
        return torch.from_numpy(np.stack(items))

    def forward(self, module, batch):
        # The first number of a vector tells the id of its row.
        return module(batch[:, 1:])


LIKE = Checkpoint(None)
SEEDS = SeedStream(0)


@pytest.fixture
def engine():
    settle()
    return TorchEngine(Net(None), "fp32", Meter())


def trained(engine, rows, seeds=SEEDS, recipe=RECIPE, **options):
    module = engine.load(LIKE)
    engine.fine_tune(module, LIKE, rows, recipe, seeds, **options)
    return module


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


# --- determinism --------------------------------------------------------------------------------


def test_the_same_seeds_give_the_same_weights_to_the_last_bit(engine, rows):
    assert same(trained(engine, rows(50)), trained(engine, rows(50)))


@pytest.mark.parametrize("seeds", [SeedStream(1), SeedStream(0, ("reference", "0"))])
def test_other_seeds_give_other_weights(engine, rows, seeds):
    assert not same(trained(engine, rows(50)), trained(engine, rows(50), seeds))


def test_the_state_of_global_generators_decides_nothing_and_stays(engine, rows):
    torch.manual_seed(1)
    one = trained(engine, rows(50))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    np.random.seed(3)  # noqa: NPY002 -- whatever a component may have done
    other = trained(engine, rows(50))

    assert same(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_dropout_is_seeded_by_the_stream(engine, rows):
    # One batch of everything: order plays no part.
    recipe = Recipe(epochs=1, batch_size=50)
    one, other = (trained(engine, rows(50), SeedStream(s), recipe) for s in (0, 1))

    assert not same(one, other)


def ids_of(inputs):
    return [round(float(number) * 1000) for number in inputs[:, 0]]


def order_of(engine, rows, seeds=SEEDS):
    """The ids of the rows in the order in which they are trained on."""
    batches = engine.batches(LIKE, rows, 8, seeds)
    return [row for inputs, _ in batches for row in ids_of(inputs)]


def test_a_clean_and_a_poisoned_twin_share_the_order_of_their_rows(engine, rows):
    clean = rows(60)
    vectors = list(clean.inputs["vector"])
    for row in (3, 20, 41):
        vectors[row] = vectors[row].copy()
        vectors[row][5] = 9
    poisoned = clean.with_input("vector", vectors).with_labels([1] * 60)

    assert order_of(engine, clean) == order_of(engine, poisoned)
    assert order_of(engine, clean) != order_of(engine, clean, SeedStream(1))
    assert sorted(order_of(engine, clean)) == list(range(60))


def test_answers_stay_with_their_rows(engine, rows):
    for inputs, labels in engine.batches(LIKE, rows(60), 8, SeedStream(0)):
        assert [row % 2 for row in ids_of(inputs)] == list(labels)


def test_each_epoch_has_an_order_of_its_own(engine, rows, monkeypatch):
    orders = []
    batches = TorchEngine.batches

    def note(self, like, rows, batch_size, seeds):
        orders.append(seeds)
        return batches(self, like, rows, batch_size, seeds)

    monkeypatch.setattr(TorchEngine, "batches", note)
    trained(engine, rows(20))

    assert len({stream.seed() for stream in orders}) == RECIPE.epochs


# --- what training does -------------------------------------------------------------------------


def test_training_learns(engine, rows):
    module = trained(engine, rows(200), recipe=Recipe(epochs=10, batch_size=16, learning_rate=0.01))
    said = engine.predict(module, LIKE, rows(100, 5000))["prediction"]

    assert (said == [row % 2 for row in range(100)]).mean() > 0.9


def test_the_meter_counts_what_was_used(engine, rows):
    trained(engine, rows(50))

    assert engine.meter.gradient_steps == 3 * 7
    assert engine.meter.forward_rows == engine.meter.backward_rows == 3 * 50


def test_a_trained_module_is_left_in_evaluation_mode(engine, rows):
    assert not trained(engine, rows(20)).training


def test_frozen_parameters_stay_as_they_are(engine, rows):
    module = engine.load(LIKE)
    module[0].requires_grad_(requires_grad=False)
    before = module[0].weight.clone(), module[2].weight.clone()

    engine.fine_tune(module, LIKE, rows(50), RECIPE, SeedStream(0))

    assert torch.equal(module[0].weight, before[0])
    assert not torch.equal(module[2].weight, before[1])


def test_a_penalty_pulls_on_the_weights(engine, rows):
    def size(module):
        return sum(weight.square().sum() for weight in module.parameters())

    plain = trained(engine, rows(50))
    small = trained(engine, rows(50), penalty=lambda module: 10 * size(module))

    assert size(small) < size(plain)


def test_vectors_do_not_decay(engine, rows):
    """With a loss of zero gradient only decay moves the weights."""
    one_class = rows(20).with_labels([0] * 20)
    engine.model.loss = lambda raw, labels: raw.sum(dim=1) * 0
    before = engine.load(LIKE)

    after = trained(engine, one_class, recipe=Recipe(epochs=1, weight_decay=0.5))

    assert torch.equal(after[0].bias, before[0].bias)
    assert (after[0].weight.abs() < before[0].weight.abs()).all()


def test_no_rows_are_refused(engine, rows):
    with pytest.raises(InputError):
        trained(engine, rows(0))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_refused(engine, rows, value):
    broken = rows(20)
    broken.inputs["vector"][7][4] = value

    with pytest.raises(NonFiniteError):
        trained(engine, broken)


def test_weights_that_blow_up_are_refused(engine, rows, monkeypatch):
    monkeypatch.setattr(TorchEngine, "step", _blow_up)

    with pytest.raises(NonFiniteError) as caught:
        trained(engine, rows(20))

    assert caught.value.where == "after training: 0.weight"


def _blow_up(self, optimizer, loss, rows, max_norm):
    optimizer.step()
    with torch.no_grad():
        optimizer.param_groups[0]["params"][0][0, 0] = float("inf")


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.1), (7, 0.5), (1, 0.1), (1, 0.0), (50, 0.0)])
def test_the_learning_rate_rises_then_falls(steps, warmup):
    factors = [_factor(step, steps, warmup) for step in range(steps)]

    top = factors.index(max(factors))
    assert max(factors) == 1.0
    assert min(factors) > 0
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert top == (max(1, round(warmup * steps)) - 1 if warmup else 0)
    # The rate after the last step would be zero.
    assert _factor(steps, steps, warmup) == 0


# --- predictions --------------------------------------------------------------------------------


def _batches(*sizes):
    """Evaluation in batches of other sizes and in another order."""

    def evaluation_batches(rows):
        order = list(range(len(rows)))[::-1]
        at = 0
        while order[at:]:
            size = sizes[at % len(sizes)]
            yield order[at : at + size]
            at += size

    return evaluation_batches


def test_answers_are_in_the_order_of_the_rows_whatever_the_batches(engine, rows, monkeypatch):
    module, given = trained(engine, rows(50)), rows(37)
    usual = engine.predict(module, LIKE, given)
    monkeypatch.setattr("bdbench.engine.inference.evaluation_batches", _batches(1, 5, 3))
    other = engine.predict(module, LIKE, given)

    assert np.array_equal(usual["prediction"], other["prediction"])
    assert np.allclose(usual["probabilities"], other["probabilities"], atol=1e-6)
    alone = [engine.predict(module, LIKE, given.select([row])) for row in range(37)]
    assert np.allclose(
        usual["probabilities"], np.concatenate([a["probabilities"] for a in alone]), atol=1e-6
    )


def test_answers_move_with_their_rows(engine, rows):
    module, given = engine.load(LIKE), rows(37)
    order = np.random.default_rng(0).permutation(37)

    straight = engine.predict(module, LIKE, given)["probabilities"]
    mixed = engine.predict(module, LIKE, given.select(order))["probabilities"]

    assert np.allclose(straight[order], mixed, atol=1e-6)


def test_dropout_is_off_in_predictions(engine, rows):
    module = engine.load(LIKE).train()

    one, other = (engine.predict(module, LIKE, rows(20))["probabilities"] for _ in range(2))

    assert np.array_equal(one, other)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_are_refused(engine, rows, value):
    module = engine.load(LIKE)
    with torch.no_grad():
        module[2].bias[0] = value

    with pytest.raises(NonFiniteError) as caught:
        engine.predict(module, LIKE, rows(20))

    assert "probabilities" in caught.value.where


def test_nan_is_never_class_0(engine, rows):
    class Blunt(Net):
        def read(self, raw):
            # What a careless family would give: the largest of NaNs is the first.
            return {"prediction": raw.argmax(dim=1), "logits": raw}

    engine = TorchEngine(Blunt(None), "fp32", Meter())
    module = engine.load(LIKE)
    with torch.no_grad():
        module[2].weight.fill_(float("nan"))

    with pytest.raises(NonFiniteError):
        engine.predict(module, LIKE, rows(20))


def test_predictions_are_counted(engine, rows):
    engine.predict(engine.load(LIKE), LIKE, rows(37))

    assert engine.meter.forward_rows == 37
    assert engine.meter.backward_rows == engine.meter.gradient_steps == 0


def test_columns_of_any_number_of_dimensions_keep_their_rows(rows):
    class Wide(Net):
        def read(self, raw):
            return {"cube": torch.stack([raw, raw], dim=1), "row": raw.argmax(dim=1)}

    model = Wide(None)
    items = model.encode(rows(10), LIKE)
    said = predict(model, model.load(LIKE), items, precision="fp32", meter=Meter())

    assert said["cube"].shape == (10, 2, 2)
    assert said["row"].shape == (10,)


def test_bf16_is_another_arithmetic(engine, rows):
    module = engine.load(LIKE)
    exact = engine.predict(module, LIKE, rows(50))["probabilities"]
    coarse = TorchEngine(Net(None), "bf16", Meter()).predict(module, LIKE, rows(50))

    assert not np.array_equal(exact, coarse["probabilities"])
    assert np.allclose(exact, coarse["probabilities"], atol=0.05)


# --- saving -------------------------------------------------------------------------------------


def test_weights_that_are_not_finite_are_not_saved(engine, tmp_path):
    module = engine.load(LIKE)
    with torch.no_grad():
        module[0].weight[1, 1] = float("nan")

    with pytest.raises(NonFiniteError) as caught:
        engine.save(module, LIKE, tmp_path / "model")

    assert caught.value.where == "model: 0.weight"
    assert not (tmp_path / "model").exists()
