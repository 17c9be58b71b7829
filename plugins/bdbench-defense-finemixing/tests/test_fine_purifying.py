from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bdbench.api import NonFiniteError
from bdbench_defense_finemixing.config import FinePurifyingConfig
from bdbench_defense_finemixing.fine_purifying import FinePurifying

HEAD = {"classifier.weight", "classifier.bias"}


def fisher(engine, victim, rows):
    """Row by row, with autograd's own function, in fp64."""
    module = engine.load(victim).double()
    names, weights = zip(*module.named_parameters(), strict=True)
    total = [torch.zeros_like(weight) for weight in weights]
    for row in range(len(rows)):
        one = rows.select([row])
        logits = module(**engine.model.collate(engine.model.encode(one, victim))).logits
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(one.labels))
        for part, gradient in zip(total, torch.autograd.grad(loss, weights), strict=True):
            part.add_(gradient**2)
    return {name: part / len(rows) for name, part in zip(names, total, strict=True)}


@pytest.mark.parametrize("rho", [0.2, 0.7])
def test_puts_back_the_largest_indicators(repair, read, victim, base, rows, rho):
    done = repair(FinePurifying, FinePurifyingConfig(rho=rho, damping=1e-2))
    after, ours, theirs = read(done.result.checkpoint), read(victim), read(base)
    body = sorted(set(after) - HEAD)
    curvature = fisher(done.engine, victim, rows)
    flat = np.concatenate([curvature[name].flatten() for name in body])
    change = np.concatenate([(ours[name] - theirs[name]).double().flatten() for name in body])
    kept = np.concatenate([(after[name] == ours[name]).flatten() for name in body])
    indicator = change**2 / (flat + 1e-2 * flat.mean())
    assert kept.sum() == round(rho * len(flat))
    # In fp32 neighbours in rank may change places; no others.
    assert indicator[kept].max() <= indicator[~kept].min() * (1 + 1e-4)
    assert done.notes["mean_squared_gradient"] == pytest.approx(flat.mean(), rel=1e-4)
    assert done.notes["share_without_gradient"] == pytest.approx((flat == 0).mean())


def test_goes_for_weights_that_the_clean_rows_do_not_use(repair, read, base, rows, change):
    name = "bert.embeddings.word_embeddings.weight"
    moved = read(base)[name].clone()
    rare, common = 17 + 1, 5  # "cf" stands in no clean row, "the" in every one
    moved[rare] += 0.1
    moved[common] += 0.1
    size = sum(value.numel() for key, value in read(base).items() if key not in HEAD)
    victim = change(base, "moved", **{name: moved})
    done = repair(FinePurifying, FinePurifyingConfig(rho=1 - 8 / size), victim=victim)
    after = read(done.result.checkpoint)[name]
    assert torch.equal(after[rare], read(base)[name][rare])
    assert torch.equal(after[common], moved[common])


def test_gradients_that_are_not_finite_are_refused(repair, base, change, read):
    # Finite weights, but too large for the losses to be.
    name = "bert.encoder.layer.0.output.dense.weight"
    victim = change(
        base,
        "huge",
        **{
            "classifier.weight": torch.full_like(read(base)["classifier.weight"], 3e38),
            name: torch.full_like(read(base)[name], 3e38),
        },
    )
    with pytest.raises(NonFiniteError, match="fine-purifying: the gradients on the clean rows"):
        repair(FinePurifying, FinePurifyingConfig(rho=0.5), victim=victim)


def test_without_any_gradient_the_largest_changes_are_put_back(repair, read, victim, base, change):
    # A head that is certain of every row passes nothing on to the body.
    flat = {
        "classifier.weight": torch.zeros(2, 8),
        "classifier.bias": torch.zeros(2),
    }
    done = repair(
        FinePurifying, FinePurifyingConfig(rho=0.5), victim=change(victim, "dead", **flat)
    )
    after, ours, theirs = read(done.result.checkpoint), read(victim), read(base)
    assert done.notes["mean_squared_gradient"] == 0
    body = sorted(set(after) - HEAD)
    moved = np.concatenate([(ours[name] - theirs[name]).abs().flatten() for name in body])
    kept = np.concatenate([(after[name] == ours[name]).flatten() for name in body])
    assert moved[kept].max() <= moved[~kept].min()
    assert not math.isclose(moved.max(), moved[kept].max())
