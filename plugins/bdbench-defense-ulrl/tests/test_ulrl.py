from __future__ import annotations

import pytest
import torch

from bdbench_defense_ulrl.config import UlrlConfig
from bdbench_defense_ulrl.unlearning import unlearn


def accuracy(stage, module, rows):
    said = stage.engine.predict(module, stage.victim, rows)["prediction"]
    return sum(int(a) == b for a, b in zip(said, rows.labels, strict=True)) / len(rows)


def test_unlearning_goes_up_by_the_published_schedule(scene, build, trained, rows):
    clean = rows()
    # Each row under either label: no unlearning brings the accuracy below one half.
    data = clean + clean.with_labels([1 - label for label in clean.labels])
    stage = scene(build, trained(), clean)
    config = UlrlConfig(
        stop_accuracy=0.0, unlearn_epochs=12, unlearn_batch_size=40, unlearn_learning_rate=0.3
    )
    module = stage.engine.load(stage.victim)
    assert accuracy(stage, module, clean) == 1
    notes = unlearn(stage.view(), module, stage.victim, data, config)
    steps = stage.engine.steps
    assert len(steps) == 24
    assert all(step.optimizer is torch.optim.SGD and step.max_norm == 20 for step in steps)
    assert [step.rate for step in steps] == pytest.approx([0.3] * 20 + [0.03] * 4)
    assert all(step.loss <= 0 for step in steps)  # the loss with its sign turned
    assert steps[-1].loss < steps[0].loss - 1
    assert notes["epochs"] == 12
    assert notes["accuracy"] == accuracy(stage, module, data) == 0.5


def test_unlearning_decays_weights_as_published(scene, build, trained, rows):
    module = trained()
    with torch.no_grad():  # a neuron that never fires has no gradient: only the decay moves it
        module[0].weight[7] = 1
        module[0].bias[7] = -50
    clean = rows()
    data = clean + clean.with_labels([1 - label for label in clean.labels])
    stage = scene(build, module, clean)
    config = UlrlConfig(stop_accuracy=0.0, unlearn_epochs=3, unlearn_learning_rate=0.3)
    unlearned = stage.engine.load(stage.victim)
    unlearn(stage.view(), unlearned, stage.victim, data, config)
    weight, speed = 1.0, 0.0
    for _ in stage.engine.steps:
        speed = 0.9 * speed + 5e-4 * weight
        weight -= 0.3 * speed
    assert len(stage.engine.steps) == 3
    assert unlearned[0].weight[7].tolist() == pytest.approx([weight] * 6, rel=1e-6)


def test_unlearning_ends_when_the_accuracy_is_low_enough(scene, build, trained, rows):
    data = rows()
    stage = scene(build, trained(), data)
    config = UlrlConfig(unlearn_learning_rate=0.3)
    module = stage.engine.load(stage.victim)
    notes = unlearn(stage.view(), module, stage.victim, data, config)
    assert notes["stop_accuracy"] == 0.5
    assert notes["stop_accuracy_reached"]
    assert notes["accuracy"] <= 0.5
    assert notes["epochs"] < 20
    assert len(stage.engine.steps) == notes["epochs"]


def test_an_accuracy_that_is_just_low_enough_ends_it(scene, build, trained, rows):
    stage = scene(build, trained(), rows())
    config = UlrlConfig(unlearn_learning_rate=1e-6, stop_accuracy=1.0)
    module = stage.engine.load(stage.victim)
    assert unlearn(stage.view(), module, stage.victim, rows(), config)["epochs"] == 1


def test_unlearning_tells_where_it_did_not_get_there(scene, build, trained, rows):
    data = rows()
    stage = scene(build, trained(), data)
    config = UlrlConfig(unlearn_learning_rate=1e-6, unlearn_epochs=2)
    notes = unlearn(stage.view(), stage.engine.load(stage.victim), stage.victim, data, config)
    assert notes == {
        "epochs": 2,
        "accuracy": 1.0,
        "stop_accuracy": 0.5,
        "stop_accuracy_reached": False,
    }


def test_two_classes_flag_nothing_in_the_last_layer_and_say_so(scene, build, trained, rows):
    data = rows()
    stage = scene(build, trained(), data)
    done = stage.repair(layers="last", epochs=3, learning_rate=1e-3, unlearn_learning_rate=0.3)
    assert done.notes["flagged"] == []
    assert done.notes["finding"] == "nothing flagged: plain fine-tuning"
    assert (done.notes["layers"], done.notes["neurons"]) == (1, 2)
    module, view = stage.engine.load(stage.victim), stage.view()
    config = UlrlConfig(epochs=3, learning_rate=1e-3)
    stage.engine.fine_tune(module, stage.victim, data, config, view.seeds.child("relearn"))
    state = stage.state(done)
    assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())


def test_the_published_median_flags_one_of_two_classes(scene, build, trained, rows):
    stage = scene(build, trained(), rows())
    done = stage.repair(layers="last", median="lower", pick="first", epochs=1)
    assert done.notes["unlearning"]["stop_accuracy_reached"] is False
    assert done.notes["finding"].startswith("neurons flagged: 1; unlearning ended before")
    assert done.notes["flagged"][0]["layer"] == "3"


def loud(module):
    """A planted neuron: what it reads hardly matters, but the head listens to it too much."""
    with torch.no_grad():
        module[3].weight[:, 7] = torch.tensor([9.0, -9.0])
        module[0].weight[7] *= 0.02
        module[0].bias[7] = 0.02
    return module


def test_the_neuron_that_moves_most_is_drawn_anew(scene, build, trained, rows):
    module = loud(trained())
    stage = scene(build, module, rows())
    done = stage.repair(epochs=1, learning_rate=1e-7)
    flagged = [(each["layer"], each["row"]) for each in done.notes["flagged"]]
    assert flagged[0] == ("0", 7)
    assert done.notes["flagged"][0]["deviation"] > 3.5
    assert (done.notes["layers"], done.notes["neurons"]) == (2, 14)
    assert done.notes["finding"].startswith(f"neurons flagged: {len(flagged)}")
    state, before = stage.state(done), module.state_dict()
    drawn = {row for layer, row in flagged if layer == "0"}
    assert len(drawn) <= 2
    moved = (state["0.weight"] - before["0.weight"]).abs().amax(dim=1) > 1e-5
    assert set(moved.nonzero().flatten().tolist()) == drawn
    assert state["0.bias"][7] == pytest.approx(0, abs=1e-6)
    assert torch.allclose(state["3.weight"], before["3.weight"], atol=1e-5)


def test_the_published_setting_flags_the_first_two_classes_of_six(scene, build, trained, rows):
    classes = 6
    stage = scene(lambda: build(classes), trained(classes), rows(classes, 60), classes)
    done = stage.repair(layers="last", median="lower", pick="first", outlier=0.1, epochs=1)
    flagged = [each["row"] for each in done.notes["flagged"]]
    assert {each["layer"] for each in done.notes["flagged"]} == {"3"}
    assert len(flagged) == 2
    assert flagged == sorted(flagged)
    assert done.notes["neurons"] == classes


def cosine(stage, done, module):
    (neuron, *_) = done.notes["flagged"]
    state = stage.state(done)
    return float(
        torch.cosine_similarity(
            state[f"{neuron['layer']}.weight"][neuron["row"]],
            module.state_dict()[f"{neuron['layer']}.weight"][neuron["row"]],
            dim=0,
        )
    )


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_relearning_turns_the_neuron_away_from_what_it_was(scene, build, trained, rows, optimizer):
    module = loud(trained())
    stage = scene(build, module, rows())
    settings = {"optimizer": optimizer, "epochs": 30, "learning_rate": 5e-3}
    without = stage.repair(alpha=0.0, **settings)
    away = stage.repair(alpha=0.7, **settings)
    assert away.notes["flagged"] == without.notes["flagged"]
    assert cosine(stage, away, module) < cosine(stage, without, module) - 0.2
    assert accuracy(stage, stage.engine.load(away.checkpoint), rows()) > 0.95


def test_sgd_relearns_by_the_published_schedule(scene, build, trained, rows):
    stage = scene(build, trained(), rows())
    stage.repair(optimizer="sgd", layers="last", epochs=4, unlearn_epochs=1)
    unlearning, *relearning = stage.engine.steps
    assert unlearning.max_norm == 20
    # Half a cosine over four epochs, from the published 0.005.
    rates = [0.005, 0.005 * (1 + 0.5**0.5) / 2, 0.0025, 0.005 * (1 - 0.5**0.5) / 2]
    assert [step.rate for step in relearning] == pytest.approx(rates)
    assert all(step.optimizer is torch.optim.SGD for step in relearning)
    assert all(step.max_norm > 1e5 for step in relearning)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_same_seed_gives_the_same_model(scene, build, trained, rows, optimizer):
    stage = scene(build, loud(trained()), rows())

    def model(root):
        done = stage.repair(root=root, optimizer=optimizer, epochs=2, unlearn_batch_size=10)
        return stage.state(done)

    first = model(0)
    torch.rand(1)
    state = torch.get_rng_state()
    again, other = model(0), model(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
