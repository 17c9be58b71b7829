from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from bdbench.api import Checkpoint, NonFiniteError
from bdbench_defense_merge.config import MergeConfig
from bdbench_defense_merge.regmean import input_products


def layer_inputs(state, texts):
    """What the layers of a `Bag` are given, position by position and without padding."""
    hidden, head = [], []
    for text in texts:
        embedded = state["embeddings.weight"].double()[text]
        hidden.append(embedded)
        after = torch.relu(
            embedded @ state["hidden.weight"].double().T + state["hidden.bias"].double()
        )
        head.append(after.mean(0, keepdim=True))
    return {"hidden.weight": torch.cat(hidden), "head.weight": torch.cat(head)}


def test_products_count_each_position_once_and_no_padding(bags, grant, read):
    view = grant(MergeConfig(method="regmean"), bags.checkpoints[1:], **bags.given)
    found = input_products(bags.checkpoints[0], view, "victim")
    assert sorted(found) == ["head.weight", "hidden.weight", "spare.weight"]  # no tied decoder
    for name, inputs in layer_inputs(read(bags.checkpoints[0]), bags.texts).items():
        torch.testing.assert_close(found[name], (inputs.T @ inputs).float(), rtol=1e-4, atol=1e-6)
    assert found["spare.weight"].eq(0).all()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9, 0.999])
def test_merge(bags, repair, read, alpha):
    models = bags.checkpoints
    result = repair(models[0], models[1:], **bags.given, method="regmean", alpha=alpha)
    merged, states = read(result.checkpoint), [read(model) for model in models]
    inputs = [layer_inputs(state, bags.texts) for state in states]
    for name, value in merged.items():
        if name not in inputs[0]:
            mean = sum(state[name] for state in states) / 3
            assert torch.equal(value, mean), name
            continue
        products = []
        for each in inputs:
            square = each[name].T @ each[name]
            products.append(alpha * square + (1 - alpha) * torch.diag(square.diagonal()))
        pulled = sum(
            square @ state[name].double().T for square, state in zip(products, states, strict=True)
        )
        expected = (torch.linalg.inv(sum(products)) @ pulled).T.float()
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
    assert result.notes["linear_layers"] == 3


def test_comes_nearer_to_the_models_outputs_than_the_mean(bags, repair, read):
    models = bags.checkpoints
    states = [read(model) for model in models]
    inputs = [layer_inputs(state, bags.texts) for state in states]
    errors = {}
    for method, extra in (("regmean", {"alpha": 0.999}), ("mean", {})):
        merged = read(
            repair(models[0], models[1:], **bags.given, method=method, **extra).checkpoint
        )
        errors[method] = [
            sum(
                float((x[name] @ (merged[name] - state[name]).double().T).square().sum())
                for x, state in zip(inputs, states, strict=True)
            )
            for name in inputs[0]
        ]
    assert all(ours < theirs for ours, theirs in zip(*errors.values(), strict=True))


def test_an_input_that_is_always_zero_keeps_the_mean(bags, repair, read, tmp_path):
    models = []
    for number, model in enumerate(bags.checkpoints):
        state = read(model)
        state["embeddings.weight"][:, 2] = 0.0
        folder = tmp_path / f"dead {number}"
        folder.mkdir()
        save_file(state, folder / "model.safetensors")
        models.append(Checkpoint(folder))
    merged = read(repair(models[0], models[1:], **bags.given, method="regmean").checkpoint)
    mean = sum(read(model)["hidden.weight"].double() for model in models) / 3
    torch.testing.assert_close(merged["hidden.weight"][:, 2].double(), mean[:, 2])
    others = [0, 1, 3, 4]
    assert not torch.allclose(merged["hidden.weight"][:, others].double(), mean[:, others])


def test_fewer_rows_than_inputs(bags, repair, read):
    one = bags.rows.select([0])
    result = repair(
        bags.checkpoints[0],
        bags.checkpoints[1:],
        **{**bags.given, "rows": one},
        method="regmean",
        alpha=0.999,
    )
    states = [read(model) for model in bags.checkpoints]
    largest = max(state["head.weight"].abs().max() for state in states)
    assert read(result.checkpoint)["head.weight"].abs().max() < 10 * largest


@given(seed=st.integers(0, 2**31), alpha=st.floats(0, 0.999))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_models_with_one_body_and_equal_layers_stay(bags, repair, read, seed, alpha):
    victim = bags.save(seed)
    merged = read(repair(victim, [victim], **bags.given, method="regmean", alpha=alpha).checkpoint)
    assert all(torch.equal(merged[name], value) for name, value in read(victim).items())


def test_inputs_must_be_finite(bags, repair):
    family = bags.engine.model
    plain = family.load

    def load(checkpoint):
        module = plain(checkpoint)
        module.embeddings.weight.data[3] = float("inf")
        return module

    family.load = load
    with pytest.raises(NonFiniteError, match=r"^victim: .*in the inputs of 'hidden.weight'"):
        repair(bags.checkpoints[0], bags.checkpoints[1:], **bags.given, method="regmean")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_keeps_the_type(bags, repair, read, tmp_path, dtype):
    models = []
    for number, model in enumerate(bags.checkpoints):
        state = {name: value.to(dtype) for name, value in read(model).items()}
        folder = tmp_path / f"{dtype} {number}"
        folder.mkdir()
        save_file(state, folder / "model.safetensors")
        models.append(Checkpoint(folder))
    family = bags.engine.model
    plain = family.load
    family.load = lambda checkpoint: plain(checkpoint).float()
    merged = read(repair(models[0], models[1:], **bags.given, method="regmean").checkpoint)
    assert {value.dtype for value in merged.values()} == {dtype}
