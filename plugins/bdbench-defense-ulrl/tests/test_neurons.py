from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bdbench.api import InputError, SeedStream
from bdbench_defense_ulrl.neurons import Neuron, linear_layers, outliers, weight_change
from bdbench_defense_ulrl.ulrl import CosineToOriginal, reinitialise

CHANGES = [1.0, 1.2, 9.0, 1.1, 30.0, 0.9, 12.0, 1.3, 1.0, 1.05]


def flagged(changes, **settings):
    settings = {"outlier": 3.5, "median": "middle", "limit": 2, "pick": "largest"} | settings
    return outliers("layer", torch.tensor(changes, dtype=torch.float64), **settings)


def rows_of(changes, **settings):
    return [neuron.row for neuron in flagged(changes, **settings)]


def test_picks_the_largest_or_as_published_the_first():
    assert rows_of(CHANGES, limit=10) == [4, 6, 2]
    assert rows_of(CHANGES) == [4, 6]
    assert rows_of(CHANGES, pick="first") == [2, 4]
    assert rows_of(CHANGES, limit=1) == [4]


def test_deviation_by_hand():
    middle = np.median(CHANGES)
    mad = np.median(np.abs(np.array(CHANGES) - middle))
    neuron = flagged(CHANGES)[0]
    assert neuron.deviation == pytest.approx((30 - middle) / (1.4826 * mad))


positive = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=30)


@given(changes=positive, outlier=st.floats(0.1, 10))
def test_flags_what_the_published_formula_flags(changes, outlier):
    # torch.median takes the lower of the middle two, as numpy's percentile does by this method.
    def lower(values):
        return np.percentile(values, 50, method="lower")

    values = np.array(changes)
    middle = lower(values)
    mad = lower(np.abs(values - middle))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs((values - middle) / (1.4826 * mad))
    far = np.abs(z - outlier) > 1e-6 * outlier  # a tie is decided by rounding
    expected = set(np.flatnonzero((z > outlier) & (values > middle) & far))
    found = set(rows_of(changes, median="lower", limit=99, outlier=outlier))
    assert {row for row in found if far[row]} == expected


# Half of the smallest number there is, is 0: the proof holds for all others.
@given(a=st.floats(0, 1e6, allow_subnormal=False), b=st.floats(0, 1e6, allow_subnormal=False))
def test_of_two_rows_none_can_stand_out(a, b):
    assert flagged([a, b]) == []
    assert flagged([a, b], outlier=0.68) == []


@given(a=st.floats(0, 1e6, allow_subnormal=False), b=st.floats(0, 1e6, allow_subnormal=False))
def test_of_two_rows_the_published_median_always_flags_the_larger(a, b):
    expected = [] if a == b else [Neuron("layer", int(b > a), None)]
    assert flagged([a, b], median="lower") == expected


def test_a_lone_mover_among_rows_that_stand_still_is_flagged():
    assert flagged([0.0, 0.0, 0.0, 0.5, 0.0]) == [Neuron("layer", 3, None)]
    assert flagged([0.0] * 5) == []


def test_small_changes_are_not_flagged():
    assert flagged([5.0, 5.1, 0.0, 5.2, 4.9, 5.0, 5.1]) == []


def test_weight_change_by_hand():
    before, after = nn.Linear(3, 2), nn.Linear(3, 2)
    found = weight_change({"l": before}, {"l": after})["l"]
    for row in range(2):
        moved = (after.weight[row] - before.weight[row]).tolist()
        assert float(found[row]) == pytest.approx(sum(map(abs, moved)))
    with torch.no_grad():
        after.weight.copy_(before.weight)
    assert not weight_change({"l": before}, {"l": after})["l"].any()  # biases do not count


def test_finds_layers():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 2)))
    assert list(linear_layers(module, "all", 2)) == ["0", "2.0"]
    assert list(linear_layers(module, "last", 2)) == ["2.0"]
    assert list(linear_layers(module, "last", 3)) == ["0"]


@pytest.mark.parametrize(
    ("module", "which"),
    [(nn.Sequential(nn.Linear(4, 3)), "last"), (nn.Sequential(nn.Conv2d(1, 2, 3)), "all")],
)
def test_refuses_models_without(module, which):
    with pytest.raises(InputError, match="Sequential"):
        linear_layers(module, which, 2)


def test_draws_flagged_rows_anew_and_leaves_the_others():
    layer = nn.Linear(5000, 4)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    reinitialise({"l": layer}, [Neuron("l", 1, None), Neuron("l", 3, 9.0)], SeedStream(0))
    bound = (2 / 5000) ** 0.5
    for row in (1, 3):
        drawn = layer.weight[row].detach()
        assert float(drawn.abs().max()) < bound
        assert float(drawn.abs().max()) > 0.99 * bound
        assert abs(float(drawn.mean())) < 0.05 * bound
        assert float(drawn.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
        assert layer.bias[row] == 0
    assert not torch.equal(layer.weight[1], layer.weight[3])
    assert torch.equal(layer.weight[[0, 2]], before["weight"][[0, 2]])
    assert torch.equal(layer.bias[[0, 2]], before["bias"][[0, 2]])


def test_cosine_by_hand():
    one, other = nn.Linear(3, 4), nn.Linear(4, 2)
    layers = {"one": one, "other": other}
    cosine = CosineToOriginal(
        layers, [Neuron("one", 2, 4.0), Neuron("other", 0, 4.0), Neuron("one", 0, 4.0)]
    )
    assert cosine().item() == pytest.approx(3)
    originals = {name: layer.weight.detach().numpy().copy() for name, layer in layers.items()}
    reinitialise(layers, [Neuron("one", 2, 4.0), Neuron("one", 0, 4.0)], SeedStream(1))
    expected = 0.0
    for name, row in (("one", 2), ("other", 0), ("one", 0)):
        now, then = layers[name].weight[row].detach().numpy(), originals[name][row]
        expected += float(now @ then) / float(np.linalg.norm(now) * np.linalg.norm(then))
    assert cosine().item() == pytest.approx(expected, rel=1e-5)
    cosine().backward()
    assert not one.weight.grad[[1, 3]].any()
    assert one.weight.grad[[0, 2]].any()


def test_cosine_of_nothing_is_zero():
    assert CosineToOriginal({"l": nn.Linear(2, 2)}, [])().item() == 0
