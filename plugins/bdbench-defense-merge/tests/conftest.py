from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from bdbench.api import Checkpoint, DefenderView, SeedStream, Task
from bdbench_defense_merge.config import MergeConfig
from bdbench_defense_merge.hooks import MERGE
from bdbench_defense_merge.merge import Merge

SHAPES = {"embeddings.weight": (31, 6), "layer.weight": (6, 6), "norm.bias": (6,), "scale": ()}


@pytest.fixture
def make(tmp_path):
    """Saves a random model; all start near one base, as models fine-tuned from it do."""

    def make(name, *, seed, dtype=torch.float32, spread=0.3, **changes):
        base = torch.Generator().manual_seed(1000)
        own = torch.Generator().manual_seed(seed)
        state = {
            key: torch.randn(shape, generator=base) + spread * torch.randn(shape, generator=own)
            for key, shape in SHAPES.items()
        }
        state = {key: tensor.to(dtype) for key, tensor in state.items()}
        state |= {"position_ids": torch.arange(9), **changes}
        folder = tmp_path / name
        folder.mkdir()
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return Checkpoint(folder)

    return make


@pytest.fixture
def read():
    return lambda checkpoint: load_file(checkpoint.weight_files()[0])


@pytest.fixture
def repair(tmp_path):
    """Runs the defense with a view that grants what these settings need."""

    def repair(victim, granted=(), base=None, /, *, root=0, **settings):
        config = MergeConfig(**settings)
        workspace = tmp_path / f"workspace {len(list(tmp_path.iterdir()))}"
        workspace.mkdir()
        view = DefenderView(
            defense="merge",
            needs=config.needs(MERGE.needs),
            task=Task("some-task", ("input",)),
            seeds=SeedStream(root),
            workspace=workspace,
            engine=None,
            references=granted,
            base=base,
        )
        result = Merge(config).repair(victim, view)
        assert result.checkpoint.folder == workspace / "model"
        return result

    return repair


@pytest.fixture(params=[torch.float32, torch.bfloat16, torch.float16], ids=str)
def three(request, make, read):
    """A victim, two references and a base, with their weights in fp32."""
    dtype = request.param
    models = [make(f"m{seed}", seed=seed, dtype=dtype) for seed in range(3)]
    base = make("base", seed=9, dtype=dtype, spread=0.1)
    weights = [
        {name: tensor.float() for name, tensor in read(model).items() if name in SHAPES}
        for model in (*models, base)
    ]
    return SimpleNamespace(
        victim=models[0], references=models[1:], base=base, weights=weights, dtype=dtype
    )
