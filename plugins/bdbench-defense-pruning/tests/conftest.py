from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bdbench.api import Checkpoint, ComponentConfig, DefenderView, Examples, SeedStream, Task
from bdbench.testing import LocalEngine
from bdbench.toolkit.classifier import Classifier
from bdbench_defense_pruning.hooks import bdbench_register_defenses

SPECS = {spec.name: spec for spec in bdbench_register_defenses()}
WIDTH = 4


class Vectors(Classifier):
    """Vectors into whatever module `build` makes."""

    def __init__(self, build):
        super().__init__(ComponentConfig())
        self.build = build

    def prepare(self, task, folder, seeds):
        raise NotImplementedError

    def load(self, checkpoint):
        module = self.build()
        module.load_state_dict(load_file(checkpoint.weight_files()[0]))
        return module.eval()

    def save(self, module, like, folder):
        save_file(module.state_dict(), folder / "model.safetensors")

    def encode(self, examples, checkpoint):
        return list(examples.inputs["x"])

    def collate(self, items):
        return torch.tensor(items)

    def forward(self, module, batch):
        return module(batch)


class Tokens(Vectors):
    """Token numbers into a model of transformers; `padding` more columns than are needed."""

    padding = 0

    def collate(self, items):
        width = max(map(len, items)) + self.padding
        ids = [[*item, *[0] * (width - len(item))] for item in items]
        mask = [[1] * len(item) + [0] * (width - len(item)) for item in items]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}

    def forward(self, module, batch):
        return module(**batch).logits


@pytest.fixture
def scene(tmp_path):
    """A victim on disk, an engine, and a way to run a defense on them."""

    def scene(build, module, rows):
        family = (Tokens if hasattr(module, "config") else Vectors)(build)
        folder = tmp_path / "victim"
        folder.mkdir()
        family.save(module, None, folder)
        made = SimpleNamespace(victim=Checkpoint(folder), engine=LocalEngine(family), rows=rows)

        def view(name, *, root=0):
            workspace = tmp_path / f"workspace {len(list(tmp_path.iterdir()))}"
            workspace.mkdir()
            return DefenderView(
                defense=name,
                needs=SPECS[name].needs,
                task=Task("some-task", ("x",), ("no", "yes")),
                seeds=SeedStream(root),
                workspace=workspace,
                engine=made.engine,
                clean_rows=rows,
            )

        def repair(defense, name, **kwargs):
            before = made.victim.weight_files()[0].read_bytes()
            done = defense.repair(made.victim, view(name, **kwargs))
            assert made.victim.weight_files()[0].read_bytes() == before
            assert done.checkpoint.folder != made.victim.folder
            assert made.engine.seen <= set(rows.ids)
            return done

        made.view, made.repair = view, repair
        made.state = lambda done: load_file(done.checkpoint.weight_files()[0])
        return made

    return scene


@pytest.fixture
def mlp():
    return lambda: nn.Sequential(nn.Linear(WIDTH, 6), nn.ReLU(), nn.Linear(6, 2))


@pytest.fixture
def backdoored(mlp):
    """An MLP by hand: coordinate 0 tells the class, and coordinate 3 is the trigger's.

    Neurons 0 and 1 read the class. Neuron 4 fires on the trigger only and then outweighs them.
    Neuron 2 copies coordinate 1, neurons 3 and 5 coordinate 2; nobody reads these three much.
    """
    module = mlp()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        up, down = module[0], module[2]
        up.weight[0, 0], up.weight[1, 0] = 1, -1
        up.weight[2, 1] = 0.3
        up.weight[3, 2], up.weight[5, 2] = 0.2, 0.1
        up.weight[4, 3], up.bias[4] = 1, -2
        down.weight[:, 0] = torch.tensor([-1.0, 1.0])
        down.weight[:, 1] = torch.tensor([1.0, -1.0])
        down.weight[:, 2] = 0.01
        down.weight[:, 4] = torch.tensor([-9.0, 9.0])
    return module


@pytest.fixture
def vectors():
    """Clean rows of two classes, 20 of each."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(40, WIDTH, generator=draw) + 0.2
    labels = [row % 2 for row in range(40)]
    x[:, 0] *= torch.tensor([1.5 if label else -1.0 for label in labels])
    return Examples({"x": x.tolist()}, labels, list(range(500, 540)))


@pytest.fixture
def triggered(vectors):
    """The rows of class 0 with the trigger."""
    rows = vectors.select([row for row, label in enumerate(vectors.labels) if label == 0])
    return rows.with_input("x", [[*x[:3], 5.0] for x in rows.inputs["x"]])


@pytest.fixture
def texts():
    """Rows of 3 to 9 tokens, labelled by their second token."""
    rng = SeedStream(3).random()
    rows = [[1, *(rng.randrange(3, 20) for _ in range(rng.randrange(2, 9)))] for _ in range(24)]
    labels = [int(row[1] >= 12) for row in rows]
    return Examples({"x": rows}, labels, list(range(900, 924)))


@pytest.fixture
def bert():
    """Builds a BERT of two layers or more with two heads each, always the same."""
    from transformers import BertConfig, BertForSequenceClassification

    def build(layers=2):
        config = BertConfig(
            vocab_size=20,
            hidden_size=8,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=12,
            max_position_embeddings=64,
            initializer_range=0.5,
        )
        with torch.random.fork_rng():
            torch.manual_seed(5)
            return BertForSequenceClassification(config).eval()

    return build
