from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bdbench.api import Checkpoint, ComponentConfig, DefenderView, Examples, SeedStream, Task
from bdbench.testing import LocalEngine
from bdbench.toolkit.classifier import Classifier
from bdbench_defense_ulrl.config import UlrlConfig
from bdbench_defense_ulrl.hooks import ULRL
from bdbench_defense_ulrl.ulrl import Ulrl

WIDTH = 6


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


@pytest.fixture
def scene(tmp_path):
    """A victim on disk, an engine, and a way to run the defense on them."""

    def scene(build, module, rows, classes=2):
        folder = tmp_path / "victim"
        folder.mkdir()
        family = Vectors(build)
        family.save(module, None, folder)
        made = SimpleNamespace(victim=Checkpoint(folder), engine=LocalEngine(family))

        def view(root=0):
            workspace = tmp_path / f"workspace {len(list(tmp_path.iterdir()))}"
            workspace.mkdir()
            return DefenderView(
                defense="ulrl",
                needs=ULRL.needs,
                task=Task("some-task", ("x",), tuple(f"class {n}" for n in range(classes))),
                seeds=SeedStream(root),
                workspace=workspace,
                engine=made.engine,
                clean_rows=rows,
            )

        def repair(*, root=0, **settings):
            made.engine.steps.clear()
            before = made.victim.weight_files()[0].read_bytes()
            done = Ulrl(UlrlConfig(**settings)).repair(made.victim, view(root))
            assert made.victim.weight_files()[0].read_bytes() == before
            assert done.checkpoint.folder != made.victim.folder
            assert made.engine.seen == set(rows.ids)
            return done

        made.view, made.repair = view, repair
        made.state = lambda done: load_file(done.checkpoint.weight_files()[0])
        return made

    return scene


@pytest.fixture
def build():
    """Makes an MLP with dropout, always the same."""

    def build(classes=2):
        with torch.random.fork_rng():
            torch.manual_seed(4)
            return nn.Sequential(
                nn.Linear(WIDTH, 12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, classes)
            ).eval()

    return build


@pytest.fixture
def rows():
    """Clean rows: as many classes as asked for, each with a coordinate of its own."""

    def rows(classes=2, count=40):
        draw = torch.Generator().manual_seed(0)
        labels = [row % classes for row in range(count)]
        x = 0.3 * torch.randn(count, WIDTH, generator=draw)
        x[range(count), labels] += 2
        return Examples({"x": x.tolist()}, labels, list(range(700, 700 + count)))

    return rows


@pytest.fixture
def trained(build, rows):
    """The MLP, trained to be right about the rows."""

    def trained(classes=2):
        module, data = build(classes), rows(classes)
        x, labels = torch.tensor(data.inputs["x"]), torch.tensor(data.labels)
        optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
        for _ in range(15):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x), labels).backward()
            optimizer.step()
        return module

    return trained
