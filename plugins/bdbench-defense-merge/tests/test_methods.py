"""Each method against its formula, written anew with whole tensors in memory."""

from __future__ import annotations

import math
from contextlib import ExitStack

import numpy as np
import pytest
import torch

from bdbench.api import SeedStream
from bdbench.toolkit.weights import combine
from bdbench_defense_merge.averages import slerp
from bdbench_defense_merge.config import MergeConfig
from bdbench_defense_merge.fisher import fisher
from bdbench_defense_merge.merging import Merging
from bdbench_defense_merge.regmean import regmean
from bdbench_defense_merge.task_vectors import dare, ties


def changes(three):
    *models, base = three.weights
    return [{name: model[name] - base[name] for name in base} for model in models]


def check(result, expected, three, read, *, exact=True):
    merged = read(result.checkpoint)
    assert set(merged) == {*expected, "position_ids"}
    assert torch.equal(merged["position_ids"], torch.arange(9))
    for name, value in expected.items():
        wanted = value.to(three.dtype)
        assert merged[name].dtype == three.dtype
        assert merged[name].shape == wanted.shape
        if exact:
            assert torch.equal(merged[name], wanted)
        else:
            torch.testing.assert_close(merged[name], wanted)


def test_mean(three, repair, read):
    a, b, c, base = three.weights
    result = repair(three.victim, three.references)
    check(result, {name: (a[name] + b[name] + c[name]) / 3 for name in base}, three, read)


def test_weighted_mean(three, repair, read):
    a, b, c, base = three.weights
    settings = {"method": "weighted-mean", "weights": [1, 0.5, 2]}
    result = repair(three.victim, three.references, **settings)
    expected = {name: (a[name] + b[name] * 0.5 + c[name] * 2) / 3.5 for name in base}
    check(result, expected, three, read)


def test_weighted_mean_with_equal_weights_is_the_mean(three, repair, read):
    equal = {"method": "weighted-mean", "weights": [1, 1, 1]}
    one, other = (
        read(repair(three.victim, three.references, **settings).checkpoint)
        for settings in ({}, equal)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 1.0])
def test_slerp(three, repair, read, fraction):
    a, b, _, base = three.weights
    result = repair(three.victim, three.references, method="slerp", fraction=fraction)
    expected = {}
    for name in base:
        x, y = (state[name].double().flatten().numpy() for state in (a, b))
        angle = np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
        shares = (1 - fraction, fraction)
        if name != "scale":  # one number: always parallel
            shares = tuple(np.sin(share * angle) / np.sin(angle) for share in shares)
        expected[name] = a[name] * float(shares[0]) + b[name] * float(shares[1])
    check(result, expected, three, read, exact=False)
    assert result.notes["tensors_interpolated_linearly"] == 1
    assert result.notes["models_merged"] == 2


def test_slerp_keeps_the_norm_where_the_mean_loses_it(make, repair, read):
    one, other = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    victim, reference = (
        make("v", seed=0, **{"norm.bias": one}),
        make("r", seed=1, **{"norm.bias": other}),
    )
    merged = read(repair(victim, [reference], method="slerp").checkpoint)["norm.bias"]
    assert merged.norm().item() == pytest.approx(3.0)


@pytest.mark.parametrize("other", [[0.0, 0.0], [2.0, 4.0], [-2.0, -4.0]])
def test_slerp_is_linear_where_there_is_no_arc(make, repair, read, other):
    one, other = torch.tensor([1.0, 2.0]), torch.tensor(other)
    victim = make("v", seed=0, **{"norm.bias": one})
    reference = make("r", seed=1, **{"norm.bias": other})
    merged = read(repair(victim, [reference], method="slerp").checkpoint)["norm.bias"]
    assert torch.equal(merged, (one + other) / 2)


def test_slerp_takes_a_tensor_without_elements(make, repair, read):
    victim, reference = (make(str(n), seed=n, gap=torch.empty(0, 3)) for n in range(2))
    result = repair(victim, [reference], method="slerp")
    assert read(result.checkpoint)["gap"].shape == (0, 3)
    assert result.notes["tensors_interpolated_linearly"] == 2


def test_task_arithmetic(three, repair, read):
    base = three.weights[-1]
    a, b, c = changes(three)
    settings = {"method": "task-arithmetic", "scale": 0.4}
    result = repair(three.victim, three.references, three.base, **settings)
    expected = {name: base[name] + 0.4 * (a[name] + b[name] + c[name]) for name in base}
    check(result, expected, three, read)


@pytest.mark.parametrize("keep", [0.1, 0.7, 1.0])
def test_ties(three, repair, read, keep):
    base = three.weights[-1]
    trimmed, limits = [], []
    for change in changes(three):
        flat = torch.cat([tensor.abs().flatten() for tensor in change.values()])
        count = round(keep * len(flat))
        limits.append(flat.sort(descending=True).values[count - 1].item())
        trimmed.append(
            {
                name: torch.where(tensor.abs() >= limits[-1], tensor, 0.0)
                for name, tensor in change.items()
            }
        )
    expected = {}
    for name, start in base.items():
        stack = torch.stack([change[name] for change in trimmed]).reshape(3, -1).numpy()
        merged = np.zeros_like(stack[0])
        for place, column in enumerate(stack.T):
            agreeing = [value for value in column if value * column.sum() > 0]
            merged[place] = np.sum(agreeing, dtype=np.float32) / np.float32(max(1, len(agreeing)))
        expected[name] = start + 0.9 * torch.from_numpy(merged).reshape(start.shape)
    settings = {"method": "ties", "keep": keep, "scale": 0.9}
    result = repair(three.victim, three.references, three.base, **settings)
    check(result, expected, three, read, exact=False)
    assert result.notes["smallest_change_kept"] == limits


def test_ties_by_hand(make, repair, read):
    rest = {name: torch.zeros(1) for name in ("embeddings.weight", "layer.weight", "scale")}
    rows = {
        "base": [1.0, 1.0, 1.0, 1.0],
        "v": [2.0, 4.0, 1.25, 3.0],  # changes 1, 3, 0.25, 2: keeps 3 and 2
        "r": [5.0, -1.0, 1.5, 0.0],  # changes 4, -2, 0.5, -1: keeps 4 and -2
    }
    models = {
        name: make(name, seed=0, **rest, **{"norm.bias": torch.tensor(row)})
        for name, row in rows.items()
    }
    # Two of the seven elements; the zeros of the other tensors count among the seven.
    result = repair(models["v"], [models["r"]], models["base"], method="ties", keep=2 / 7)
    assert read(result.checkpoint)["norm.bias"].tolist() == [5.0, 4.0, 1.0, 3.0]
    assert result.notes["smallest_change_kept"] == [2.0, 2.0]


def test_ties_keeps_all_that_equal_the_limit(make, repair, read):
    rest = {name: torch.zeros(1) for name in ("embeddings.weight", "layer.weight", "scale")}
    base = make("base", seed=0, **rest, **{"norm.bias": torch.zeros(4)})
    victim = make("v", seed=0, **rest, **{"norm.bias": torch.tensor([1.0, -1.0, 1.0, 0.5])})
    reference = make("r", seed=0, **rest, **{"norm.bias": torch.zeros(4)})
    result = repair(victim, [reference], base, method="ties", keep=1 / 7)
    assert read(result.checkpoint)["norm.bias"].tolist() == [1.0, -1.0, 1.0, 0.0]


def test_dare(three, repair, read):
    base = three.weights[-1]
    settings = {"method": "dare", "drop": 0.6, "scale": 0.8}
    result = repair(three.victim, three.references, three.base, root=5, **settings)
    expected = {}
    for name, start in base.items():
        kept = torch.zeros_like(start)
        for number, change in enumerate(changes(three)):
            draw = np.random.default_rng(SeedStream(5).child(name, number).seed())
            uniform = draw.random(start.numel(), dtype=np.float32).reshape(start.shape)
            kept += torch.where(torch.from_numpy(np.asarray(uniform)) < 0.6, 0.0, change[name])
        expected[name] = start + 0.8 * kept / 0.4 / 3
    check(result, expected, three, read, exact=False)


def test_dare_drops_the_share_and_keeps_the_sum(make, repair, read):
    size = 40_000
    base = make("base", seed=0, big=torch.zeros(size))
    victim, reference = (make(f"m{n}", seed=n, big=torch.ones(size)) for n in (1, 2))
    settings = {"method": "dare", "drop": 0.75}
    merged = read(repair(victim, [reference], base, **settings).checkpoint)["big"]
    # Each model gives 1 / 0.25 / 2 with chance 0.25: 0, 2 or 4, independently of the other.
    shares = [float((merged == value).float().mean()) for value in (0, 2, 4)]
    deviations = [4 * math.sqrt(p * (1 - p) / size) for p in (9 / 16, 6 / 16, 1 / 16)]
    for share, p, most in zip(shares, (9 / 16, 6 / 16, 1 / 16), deviations, strict=True):
        assert abs(share - p) < most
    again = read(repair(victim, [reference], base, **settings).checkpoint)["big"]
    other = read(repair(victim, [reference], base, root=1, **settings).checkpoint)["big"]
    assert torch.equal(merged, again)
    assert not torch.equal(merged, other)


def test_dare_without_dropping_averages_the_changes(three, repair, read):
    a, b, c, base = three.weights
    result = repair(three.victim, three.references, three.base, method="dare", drop=0.0)
    expected = {name: (a[name] + b[name] + c[name]) / 3 for name in base}
    check(result, expected, three, read, exact=False)


@pytest.mark.parametrize("piece", [1, 7, 64])
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (slerp, {"fraction": 0.3}),
        (ties, {"keep": 0.7, "scale": 1.0}),
        (dare, {"drop": 0.5, "scale": 1.0}),
    ],
)
def test_no_result_depends_on_the_piece(three, grant, tmp_path, method, settings, piece):
    models = {"victim": three.victim, "reference 1": three.references[0]}
    config = MergeConfig(method=method.__name__)
    view = grant(config, three.references, three.base)
    parts = [*models.values(), *([] if method is slerp else [three.base])]
    names = ["victim", "reference 1", "base weights"][: len(parts)]
    contents = []
    for size in (piece, 1 << 18):
        rule = method(Merging(models, view, ExitStack()), **settings)
        done = combine(parts, tmp_path / f"out {size}", rule, names=names, piece=size)
        contents.append(done.checkpoint.weight_files()[0].read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("piece", [1, 7, 64])
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (fisher, {"weights": [1.0, 2.0], "normalise": True, "floor": 1e-6}),
        (regmean, {"alpha": 0.9}),
    ],
)
def test_no_result_of_a_method_on_rows_depends_on_the_piece(
    bags, grant, tmp_path, method, settings, piece
):
    models = dict(zip(("victim", "reference 1"), bags.checkpoints[:2], strict=True))
    config = MergeConfig(method=method.__name__)
    contents = []
    for size in (piece, 1 << 18):
        with ExitStack() as files:
            view = grant(config, bags.checkpoints[1:], **bags.given)
            rule = method(Merging(models, view, files), **settings)
            folder = tmp_path / f"out {size}"
            done = combine(list(models.values()), folder, rule, names=list(models), piece=size)
        contents.append(done.checkpoint.weight_files()[0].read_bytes())
    assert contents[0] == contents[1]
