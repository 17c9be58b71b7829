from __future__ import annotations

import hashlib
import math

import pytest
import torch

from bdbench.api import Defense, InputError, NonFiniteError, NotGrantedError, RepairsModel
from bdbench_defense_merge.merge import Merge


def digests(*checkpoints):
    files = [path for one in checkpoints for path in one.folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_implements_its_stage():
    assert issubclass(Merge, Defense)
    assert issubclass(Merge, RepairsModel)


def test_leaves_all_models_as_they_are(three, repair):
    models = (three.victim, *three.references, three.base)
    before = digests(*models)
    for method in ("mean", "slerp", "ties"):
        repair(three.victim, three.references, three.base, method=method)
    assert digests(*models) == before


@pytest.mark.parametrize(("count", "models"), [(None, 4), (1, 2), (2, 3), (3, 4)])
def test_takes_the_first_references(make, read, repair, count, models):
    victim, *references = (make(f"m{seed}", seed=seed) for seed in range(4))
    result = repair(victim, references, references=count)
    states = [read(model)["layer.weight"] for model in (victim, *references)][:models]
    assert result.notes["models_merged"] == models
    torch.testing.assert_close(read(result.checkpoint)["layer.weight"], sum(states) / models)


def test_more_references_than_granted_are_refused(make, repair):
    victim, reference = (make(f"m{seed}", seed=seed) for seed in range(2))
    with pytest.raises(InputError, match=r"merge: fewer.*Found 1 granted\. Expected 2 or more"):
        repair(victim, [reference], references=2)


def test_no_reference_is_refused(make, repair):
    with pytest.raises(NotGrantedError):
        repair(make("victim", seed=0))


def test_base_weights_must_be_granted(make, repair):
    victim, reference = (make(f"m{seed}", seed=seed) for seed in range(2))
    with pytest.raises(NotGrantedError, match="base_weights=True"):
        repair(victim, [reference], method="dare")


def test_notes(make, repair, read):
    victim = make("victim", seed=0)
    twin = make("twin", seed=0, scale=read(victim)["scale"] + 1)
    notes = repair(victim, [twin]).notes
    parameters = 31 * 6 + 6 * 6 + 6 + 1
    assert notes == {
        "method": "mean",
        "models_merged": 2,
        "tensors": 4,
        "tensors_changed": 1,
        "parameters": parameters,
        "share_of_parameters_changed": 1 / parameters,
    }


@pytest.mark.parametrize("method", ["mean", "slerp", "task-arithmetic", "ties", "dare"])
def test_names_the_model_that_does_not_correspond(make, repair, method):
    victim, good = (make(f"m{seed}", seed=seed) for seed in range(2))
    bad = make("bad", seed=3, scale=torch.ones(3))
    with pytest.raises(InputError, match=r"^reference 1: .*'scale' of shape \[3\]"):
        repair(victim, [bad], good, method=method)


@pytest.mark.parametrize("method", ["mean", "slerp", "task-arithmetic", "ties", "dare"])
def test_names_the_model_that_is_not_finite(make, repair, method):
    victim, good = (make(f"m{seed}", seed=seed) for seed in range(2))
    bad = make("bad", seed=3, scale=torch.tensor(math.inf))
    with pytest.raises(NonFiniteError, match=r"^reference 1: .*'scale'"):
        repair(victim, [bad], good, method=method)


@pytest.mark.parametrize("method", ["task-arithmetic", "ties", "dare"])
def test_the_base_is_checked_too(make, repair, method):
    victim, good = (make(f"m{seed}", seed=seed) for seed in range(2))
    bad = make("bad", seed=3, scale=torch.ones(3))
    with pytest.raises(InputError, match=r"^base weights: "):
        repair(victim, [good], bad, method=method)
