from __future__ import annotations

import pytest
import torch

from bdbench_defense_pruning.config import FinePruningConfig
from bdbench_defense_pruning.fine_pruning import FinePruning


def share_of_ones(stage, checkpoint, rows):
    seen = set(stage.engine.seen)
    said = stage.engine.predict(stage.engine.load(checkpoint), checkpoint, rows)["prediction"]
    stage.engine.seen = seen
    return said.mean()


def test_removes_the_planted_backdoor_first(scene, backdoored, vectors, triggered, mlp):
    stage = scene(mlp, backdoored, vectors)
    assert share_of_ones(stage, stage.victim, triggered) == 1
    done = stage.repair(
        FinePruning(FinePruningConfig(amount=0.17, fine_tune=False)), "fine-pruning"
    )
    state, before = stage.state(done), backdoored.state_dict()
    assert done.notes["neurons_pruned"] == 1
    assert not state["0.weight"][4].any()
    assert state["0.bias"][4] == 0
    assert not state["2.weight"][:, 4].any()
    kept = [0, 1, 2, 3, 5]
    assert torch.equal(state["0.weight"][kept], before["0.weight"][kept])
    assert torch.equal(state["2.weight"][:, kept], before["2.weight"][:, kept])
    assert share_of_ones(stage, done.checkpoint, triggered) == 0
    assert share_of_ones(stage, done.checkpoint, vectors) == 0.5


def test_prunes_in_the_order_of_activity(scene, backdoored, vectors, mlp):
    stage = scene(mlp, backdoored, vectors)
    order = []
    for count in range(1, 6):
        config = FinePruningConfig(amount=count / 6, fine_tune=False)
        state = stage.state(stage.repair(FinePruning(config), "fine-pruning"))
        gone = [n for n in range(6) if not state["0.weight"][n].any()]
        assert len(gone) == count
        order += [neuron for neuron in gone if neuron not in order]
    assert order == [4, 5, 3, 2, 1]


def test_auto_prunes_what_accuracy_does_not_need(scene, backdoored, vectors, triggered, mlp):
    stage = scene(mlp, backdoored, vectors)
    done = stage.repair(FinePruning(FinePruningConfig(step=0.17, epochs=1)), "fine-pruning")
    assert done.selection == "clean_val"
    # Neuron 0 alone still tells the classes apart: 5 of 6 may go, and no more are tried.
    assert done.notes["neurons_pruned"] == 5
    assert done.notes["accuracy_pruned"] == 1
    assert (done.notes["rows_ranked_by"], done.notes["rows_fine_tuned_on"]) == (20, 40)
    assert share_of_ones(stage, done.checkpoint, triggered) == 0


def test_pruned_neurons_stay_pruned_while_the_rest_is_trained(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    config = FinePruningConfig(amount=0.5, epochs=3, learning_rate=1e-2)
    done = stage.repair(FinePruning(config), "fine-pruning")
    state, before = stage.state(done), bert().state_dict()
    for layer in (f"bert.encoder.layer.{n}" for n in range(2)):
        up = state[f"{layer}.intermediate.dense.weight"]
        gone = [row for row in range(12) if not up[row].any()]
        assert len(gone) == 6
        assert not state[f"{layer}.intermediate.dense.bias"][gone].any()
        assert not state[f"{layer}.output.dense.weight"][:, gone].any()
    assert done.notes["layers"] == [f"bert.encoder.layer.{n}.output.dense" for n in range(2)]
    assert (done.notes["neurons"], done.notes["neurons_pruned"]) == (24, 12)
    moved = [name for name in state if not torch.equal(state[name], before[name])]
    assert "classifier.weight" in moved
    assert "bert.embeddings.word_embeddings.weight" in moved


def test_last_touches_only_the_last_block(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    config = FinePruningConfig(amount=0.5, layers="last", fine_tune=False)
    state = stage.state(stage.repair(FinePruning(config), "fine-pruning"))
    before = bert().state_dict()
    changed = {name for name in state if not torch.equal(state[name], before[name])}
    # The biases of a fresh BERT are zero already.
    assert changed == {
        "bert.encoder.layer.1.intermediate.dense.weight",
        "bert.encoder.layer.1.output.dense.weight",
    }


def test_the_same_seed_gives_the_same_model(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    config = FinePruningConfig(epochs=1, step=0.3)
    first, again, other = (
        stage.state(stage.repair(FinePruning(config), "fine-pruning", root=root))
        for root in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_no_pruning_is_plain_fine_tuning(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    config = FinePruningConfig(amount=0.0, epochs=2, learning_rate=1e-3)
    done = stage.repair(FinePruning(config), "fine-pruning")
    view = stage.view("fine-pruning")
    module = stage.engine.load(stage.victim)
    stage.engine.fine_tune(module, stage.victim, texts, config, view.seeds.child("fine-tune"))
    state = stage.state(done)
    assert done.notes["neurons_pruned"] == 0
    assert all(torch.allclose(state[name], value) for name, value in module.state_dict().items())


@pytest.mark.parametrize("fine_tune", [True, False])
def test_tells_how_many_rows_it_was_tuned_on(scene, backdoored, vectors, fine_tune, mlp):
    stage = scene(mlp, backdoored, vectors)
    config = FinePruningConfig(amount=0.2, fine_tune=fine_tune)
    done = stage.repair(FinePruning(config), "fine-pruning")
    assert done.notes["rows_fine_tuned_on"] == (40 if fine_tune else 0)
