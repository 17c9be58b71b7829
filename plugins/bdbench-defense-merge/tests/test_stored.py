from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from bdbench.api import Checkpoint, InputError
from bdbench_defense_merge.stored import stored_parameters


@pytest.fixture
def stored(bags, read, tmp_path):
    """The parameters of a `Bag`, found in files whose tensors `change` has changed."""

    def stored(change):
        module = bags.engine.load(bags.checkpoints[0])
        state = read(bags.checkpoints[0])
        change(state)
        save_file(state, tmp_path / "model.safetensors")
        return module, stored_parameters(module, Checkpoint(tmp_path), "victim")

    return stored


@pytest.mark.parametrize("name", ["embeddings.weight", "decoder.weight"])
def test_a_tied_weight_is_found_by_either_name(stored, name):
    def change(state):
        state[name] = state.pop("embeddings.weight")

    module, found = stored(change)
    assert found[name] is module.embeddings.weight
    assert "running" not in found
    assert len(found) == 7


def test_a_tensor_of_another_shape_is_no_parameter(stored):
    def change(state):
        state["head.weight"] = torch.ones(7, 3)

    with pytest.raises(InputError, match=r"^victim: .*'head.weight' \(1 such\)"):
        stored(change)
