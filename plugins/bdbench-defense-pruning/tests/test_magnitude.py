from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bdbench.api import InputError
from bdbench_defense_pruning.config import MagnitudePruningConfig
from bdbench_defense_pruning.magnitude import MagnitudePruning, body_matrices, held_at_zero


def prune(stage, *, root=0, **settings):
    defense = MagnitudePruning(MagnitudePruningConfig(**settings))
    return stage.repair(defense, "magnitude-pruning", root=root)


def linear_weights(state):
    return {
        name: value
        for name, value in state.items()
        if value.ndim == 2 and "embeddings" not in name and not name.startswith("classifier")
    }


@pytest.mark.parametrize("amount", [0.0, 0.3, 0.75])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_the_smallest_go_and_nothing_else_changes(scene, bert, texts, amount, scope):
    stage = scene(bert, bert(), texts)
    done = prune(stage, amount=amount, scope=scope, fine_tune=False)
    state, before = stage.state(done), bert().state_dict()
    body = linear_weights(before)
    together = np.sort(np.concatenate([value.abs().numpy().ravel() for value in body.values()]))
    gone = 0
    for name, value in before.items():
        if name not in body:
            assert torch.equal(state[name], value)
            continue
        own = np.sort(value.abs().numpy().ravel())
        sought = together if scope == "global" else own
        least_kept = sought[round(amount * len(sought))]
        expected = torch.where(value.abs() >= float(least_kept), value, 0.0)
        assert torch.equal(state[name], expected)
        gone += int((expected == 0).sum())
    assert done.notes["weights"] == len(together)
    assert done.notes["weights_at_zero"] == gone
    assert gone == pytest.approx(amount * len(together), abs=len(body))


def test_zeros_hold_while_the_rest_is_trained(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    bare = stage.state(prune(stage, amount=0.4, fine_tune=False))
    tuned = stage.state(prune(stage, amount=0.4, epochs=3, learning_rate=1e-2))
    for name, value in linear_weights(bare).items():
        assert torch.equal(tuned[name] == 0, value == 0)
        assert not torch.equal(tuned[name], value)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_held_at_zero_only_while_asked(optimizer):
    layer = nn.Linear(5, 3)
    with torch.no_grad():
        layer.weight[1] = 0
    steps = optimizer(layer.parameters(), lr=0.1, weight_decay=0.1)

    def step():
        steps.zero_grad()
        layer(torch.ones(2, 5)).square().sum().backward()
        steps.step()

    with held_at_zero([layer.weight]):
        step()
        step()
        assert not layer.weight[1].any()
        assert layer.bias[1] != 0
    step()
    assert layer.weight[1].all()


def test_auto_keeps_what_the_accuracy_needs(scene, vectors):
    def build():
        return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))

    module = build()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        # Two weights of 24 do all the work; the others are too small to matter.
        module[0].weight.copy_(torch.linspace(1e-4, 2e-4, 24).reshape(6, 4))
        module[0].weight[0, 0], module[0].weight[1, 0] = 1, -1
        module[2].weight[:, 0] = torch.tensor([-1.0, 1.0])
        module[2].weight[:, 1] = torch.tensor([1.0, -1.0])
    stage = scene(build, module, vectors)
    done = prune(stage, step=1 / 24, tolerance=0.0, fine_tune=False)
    assert done.selection == "clean_val"
    assert done.notes["accuracy_unpruned"] == done.notes["accuracy_pruned"] == 1
    assert done.notes["weights_at_zero"] == 22
    kept = stage.state(done)["0.weight"].nonzero().tolist()
    assert kept == [[0, 0], [1, 0]]


def test_the_same_seed_gives_the_same_model(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    first, again = (stage.state(prune(stage, epochs=1, step=0.3)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_head_and_the_embeddings_are_no_part_of_the_body(bert):
    module = bert()
    ours = {id(weight) for weight in body_matrices(module)}
    names = {name for name, weight in module.named_parameters() if id(weight) in ours}
    assert names == set(linear_weights(module.state_dict()))
    assert len(names) == 13


def test_refuses_a_model_that_is_all_head():
    with pytest.raises(InputError, match="Sequential with 1 linear"):
        body_matrices(nn.Sequential(nn.Linear(3, 2)))
