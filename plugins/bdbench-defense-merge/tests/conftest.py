from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bdbench.api import Checkpoint, ComponentConfig, DefenderView, Examples, SeedStream, Task
from bdbench.testing import LocalEngine
from bdbench.toolkit.classifier import Classifier
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
def grant(tmp_path):
    """A view that grants what these settings need."""

    def grant(config, references=(), base=None, *, root=0, engine=None, rows=None, classes=()):
        workspace = tmp_path / f"workspace {len(list(tmp_path.iterdir()))}"
        workspace.mkdir()
        return DefenderView(
            defense="merge",
            needs=config.needs(MERGE.needs),
            task=Task("some-task", ("input",), classes),
            seeds=SeedStream(root),
            workspace=workspace,
            engine=engine,
            references=references,
            base=base,
            clean_rows=rows,
        )

    return grant


@pytest.fixture
def repair(grant):
    """Runs the defense with such a view."""

    def repair(
        victim, granted=(), base=None, /, *, root=0, engine=None, rows=None, classes=(), **settings
    ):
        config = MergeConfig(**settings)
        view = grant(config, granted, base, root=root, engine=engine, rows=rows, classes=classes)
        result = Merge(config).repair(victim, view)
        assert result.checkpoint.folder == view.workspace / "model"
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


class Bag(nn.Module):
    """Tokens into a hidden layer, then their mean into the classes; padding is token 0.

    `spare` takes part in nothing; `decoder` shares the embedding's weight; `running` is a buffer.
    """

    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(12, 5)
        self.hidden = nn.Linear(5, 7)
        self.head = nn.Linear(7, 3)
        self.spare = nn.Linear(4, 2)
        self.decoder = nn.Linear(5, 12, bias=False)
        self.decoder.weight = self.embeddings.weight
        self.register_buffer("running", torch.zeros(4))

    def forward(self, tokens):
        seen = (tokens != 0).unsqueeze(-1)
        hidden = torch.relu(self.hidden(self.embeddings(tokens))) * seen
        return self.head(hidden.sum(1) / seen.sum(1))


class BagFamily(Classifier):
    """Rows are lists of tokens; files hold a tied weight once, as transformers writes them."""

    def __init__(self):
        super().__init__(ComponentConfig())

    def prepare(self, task, folder, seeds):
        raise NotImplementedError

    def load(self, checkpoint):
        module = Bag()
        state = load_file(checkpoint.weight_files()[0])
        missing = module.load_state_dict(state, strict=False).missing_keys
        assert set(missing) <= {"decoder.weight"}
        return module.eval()

    def save(self, module, like, folder):
        raise NotImplementedError

    def encode(self, examples, checkpoint):
        return list(examples.inputs["input"])

    def collate(self, items):
        width = max(map(len, items))
        return torch.tensor([[*item, *[0] * (width - len(item))] for item in items])

    def forward(self, module, batch):
        return module(batch)


@pytest.fixture
def bags(tmp_path):
    """Three classifiers of token lists, nine rows, and the engine that runs them.

    No row has token 11. The labels are wrong on purpose: nothing may depend on them.
    """

    numbers = itertools.count()

    def save(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = Bag().state_dict()
            state["running"] = torch.randn(4)
        del state["decoder.weight"]
        folder = tmp_path / f"bag {next(numbers)}"
        folder.mkdir()
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return Checkpoint(folder)

    draw = torch.Generator().manual_seed(5)
    lengths = torch.randint(1, 6, (9,), generator=draw).tolist()
    texts = [torch.randint(1, 11, (length,), generator=draw).tolist() for length in lengths]
    rows = Examples({"input": texts}, [0] * 9, list(range(9)))
    checkpoints = [save(seed) for seed in range(3)]
    given = {"engine": LocalEngine(BagFamily()), "rows": rows, "classes": ("a", "b", "c")}
    return SimpleNamespace(checkpoints=checkpoints, texts=texts, given=given, save=save, **given)
