from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bdbench.api import Checkpoint

SHAPES = {"embeddings.weight": (37, 5), "layer.weight": (5, 5), "layer.scale": (), "gap": (0, 3)}


class Models:
    """Makes small checkpoints below a folder."""

    index = "model.safetensors.index.json"
    floating = tuple(SHAPES)
    parameters = 37 * 5 + 5 * 5 + 1

    def __init__(self, folder):
        self.folder = folder

    def fresh(self):
        """The same below an empty folder, for the next example of a property."""
        return Models(Path(tempfile.mkdtemp(dir=self.folder)))

    def state(self, seed, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        state = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
        state = {name: tensor.to(dtype) for name, tensor in state.items()}
        state["position_ids"] = torch.arange(7)
        state["mask"] = torch.tensor([True, False, True])
        return state

    def save(self, name, state, *, shards=1, config=None):
        folder = self.folder / name
        folder.mkdir()
        weight_map = {}
        for shard in range(shards):
            file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
            file = file if shards > 1 else "model.safetensors"
            part = {key: state[key] for key in list(state)[shard::shards]}
            save_file(part, folder / file, metadata={"format": "pt"})
            weight_map |= dict.fromkeys(part, file)
        if shards > 1:
            index = {"metadata": {}, "weight_map": weight_map}
            (folder / self.index).write_text(json.dumps(index))
        if config is not None:
            (folder / "config.json").write_text(json.dumps(config))
        return Checkpoint(folder)

    def load(self, checkpoint):
        files = checkpoint.weight_files()
        return {name: tensor for file in files for name, tensor in load_file(file).items()}

    def same(self, one, other):
        """Equal in type and to the last bit."""
        return one.dtype == other.dtype and torch.equal(
            one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8)
        )


@pytest.fixture
def models(tmp_path):
    return Models(tmp_path)
