from __future__ import annotations

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from bdbench.api import Checkpoint, InputError, NonFiniteError, NotGrantedError
from bdbench_defense_merge.config import MergeConfig
from bdbench_defense_merge.fisher import fisher_information

PARAMETERS = [
    *("embeddings.weight", "hidden.weight", "hidden.bias"),
    *("head.weight", "head.bias", "spare.weight", "spare.bias"),
]


def expected_information(bags, checkpoint):
    """Class by class and row by row, as the definition says."""
    module = bags.engine.load(checkpoint)
    named = dict(module.named_parameters())
    sums = {name: torch.zeros_like(value) for name, value in named.items()}
    for text in bags.texts:
        for label in range(3):
            module.zero_grad()
            logs = module(torch.tensor([text])).log_softmax(-1)[0]
            logs[label].backward()
            for name, value in named.items():
                if value.grad is not None:
                    sums[name] += logs[label].exp().item() * value.grad**2
    return {name: value / len(bags.texts) for name, value in sums.items()}


def test_information_is_the_expectation_over_the_model_s_own_predictions(bags, grant):
    view = grant(MergeConfig(method="fisher"), bags.checkpoints[1:], **bags.given)
    found = fisher_information(bags.checkpoints[0], view, "victim")
    expected = expected_information(bags, bags.checkpoints[0])
    assert sorted(found) == sorted(PARAMETERS) == sorted(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-9)
    assert found["hidden.weight"].min() >= 0
    assert found["hidden.weight"].max() > 0
    assert found["embeddings.weight"][11].eq(0).all()
    assert found["spare.weight"].eq(0).all()


def test_each_row_costs_one_pass_fewer_than_there_are_classes(bags, grant):
    view = grant(MergeConfig(method="fisher"), bags.checkpoints[1:], **bags.given)
    fisher_information(bags.checkpoints[0], view, "victim")
    assert bags.engine.forward_rows == 9 + 9 * 2  # predictions, then two of three classes


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("weights", [None, [1.0, 0.25, 3.0]])
def test_merge(bags, repair, read, normalise, weights):
    models = bags.checkpoints
    extra = {} if weights is None else {"weights": weights}
    config = {"method": "fisher", "normalise": normalise, **extra}
    result = repair(models[0], models[1:], **bags.given, **config)
    merged, states = read(result.checkpoint), [read(model) for model in models]
    found = [expected_information(bags, model) for model in models]
    if normalise:
        norms = [math.sqrt(sum(float((v**2).sum()) for v in each.values())) for each in found]
        found = [
            {name: value / norm for name, value in each.items()}
            for each, norm in zip(found, norms, strict=True)
        ]
    count = sum(value.numel() for value in found[0].values())
    floor = 1e-6 * sum(float(value.sum()) for each in found for value in each.values()) / 3 / count
    shares = weights or [1.0] * 3
    for name in PARAMETERS:
        factors = [
            share * each[name].clamp(min=floor) for share, each in zip(shares, found, strict=True)
        ]
        values = [state[name] for state in states]
        expected = sum(f * v for f, v in zip(factors, values, strict=True)) / sum(factors)
        torch.testing.assert_close(merged[name], expected, rtol=1e-3, atol=1e-5)
    for name, part in (("embeddings.weight", 11), ("spare.weight", slice(None)), ("running", ...)):
        mean = sum(w * state[name][part] for w, state in zip(shares, states, strict=True))
        torch.testing.assert_close(merged[name][part], mean / sum(shares))
    assert len(result.notes["mean_fisher"]) == 3
    assert all(value > 0 for value in result.notes["mean_fisher"])


def test_labels_play_no_part(bags, repair, read):
    one, other = (
        repair(
            bags.checkpoints[0],
            bags.checkpoints[1:],
            **{**bags.given, "rows": bags.rows.with_labels([label] * 9)},
            method="fisher",
        )
        for label in (0, 2)
    )
    assert all(
        torch.equal(value, read(other.checkpoint)[name])
        for name, value in read(one.checkpoint).items()
    )


def test_without_any_information_it_is_the_mean(bags, repair, read, tmp_path):
    # With a head of zeros no class depends on anything before it; with an input of zeros for the
    # head and a saturated bias, on nothing at all.
    models = []
    for number, model in enumerate(bags.checkpoints):
        state = read(model)
        state["hidden.bias"] = torch.full((7,), -1e6)
        state["head.bias"] = torch.tensor([0.0, 500.0, -500.0])
        folder = tmp_path / f"sure {number}"
        folder.mkdir()
        save_file(state, folder / "model.safetensors")
        models.append(Checkpoint(folder))
    result = repair(models[0], models[1:], **bags.given, method="fisher")
    assert result.notes["mean_fisher"] == [0.0, 0.0, 0.0]
    states, merged = [read(model) for model in models], read(result.checkpoint)
    for name, value in merged.items():
        torch.testing.assert_close(value, sum(state[name] for state in states) / 3)


@given(seed=st.integers(0, 2**31), floor=st.floats(1e-9, 1), normalise=st.booleans())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_element_lies_between_those_of_the_models(bags, repair, read, seed, floor, normalise):
    victim, reference = (bags.save(seed + number) for number in (0, 1))
    result = repair(
        victim, [reference], **bags.given, method="fisher", floor=floor, normalise=normalise
    )
    merged, one, other = (read(item) for item in (result.checkpoint, victim, reference))
    for name, value in merged.items():
        slack = 1e-5 * torch.maximum(one[name].abs(), other[name].abs())
        assert (value >= torch.minimum(one[name], other[name]) - slack).all()
        assert (value <= torch.maximum(one[name], other[name]) + slack).all()


def test_identical_models_stay(bags, repair, read):
    victim = bags.checkpoints[0]
    merged = read(repair(victim, [victim, victim], **bags.given, method="fisher").checkpoint)
    for name, value in read(victim).items():
        torch.testing.assert_close(merged[name], value)


def test_needs_clean_rows(bags, repair):
    with pytest.raises(NotGrantedError, match="clean_rows=1"):
        repair(
            bags.checkpoints[0],
            bags.checkpoints[1:],
            **{**bags.given, "rows": None},
            method="fisher",
        )


def test_needs_classes(bags, repair):
    with pytest.raises(InputError, match="a task of 0 classes"):
        repair(
            bags.checkpoints[0],
            bags.checkpoints[1:],
            **{**bags.given, "classes": ()},
            method="fisher",
        )


@pytest.mark.parametrize("method", ["fisher", "regmean"])
def test_files_that_name_tensors_otherwise_are_refused(bags, repair, read, tmp_path, method):
    models = []
    for number, model in enumerate(bags.checkpoints):
        state = read(model)
        state["old.weight"] = state.pop("hidden.weight")
        folder = tmp_path / f"old {number}"
        folder.mkdir()
        save_file(state, folder / "model.safetensors")
        models.append(Checkpoint(folder))
    family = bags.engine.model
    plain = family.load

    def load(checkpoint):
        return plain(bags.checkpoints[int(checkpoint.folder.name[-1])])

    family.load = load
    with pytest.raises(InputError, match=r"^victim: .*'hidden.weight' \(1 such\)"):
        repair(models[0], models[1:], **bags.given, method=method)


def test_gradients_must_be_finite(bags, repair):
    plain = bags.engine.loss
    bags.engine.loss = lambda *given: plain(*given) * float("inf")
    with pytest.raises(NonFiniteError, match=r"^victim: the gradients.*'embeddings.weight'"):
        repair(bags.checkpoints[0], bags.checkpoints[1:], **bags.given, method="fisher")
