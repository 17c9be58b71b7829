"""The model of the tiny world of vectors: one hidden layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from bdbench.api import Checkpoint, ComponentConfig, Examples, SeedStream, Task
from bdbench.testing.rows import WIDTH
from bdbench.toolkit.classifier import Classifier

__all__ = ["TinyPerceptron"]

FILE = "model.safetensors"
HIDDEN = 12


class TinyPerceptron(Classifier):
    """Vectors into a hidden layer with dropout, then into two classes."""

    def __init__(self) -> None:
        super().__init__(ComponentConfig())

    def prepare(self, task: Task, folder: Path, seeds: SeedStream) -> None:  # noqa: ARG002
        """Random weights from `seeds` alone."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seeds.seed())
            module = _module()
        save_file(module.state_dict(), folder / FILE)

    def load(self, checkpoint: Checkpoint) -> torch.nn.Module:
        """The model in evaluation mode."""
        with torch.random.fork_rng(devices=[]):
            module = _module()
        module.load_state_dict(load_file(checkpoint.folder / FILE))
        return module.eval()

    def save(self, module: torch.nn.Module, like: Checkpoint, folder: Path) -> None:  # noqa: ARG002
        """Writes the one file there is."""
        save_file(module.state_dict(), folder / FILE)

    def encode(self, examples: Examples, checkpoint: Checkpoint) -> Sequence[Any]:  # noqa: ARG002
        """The vectors."""
        return list(examples.inputs["vector"])

    def collate(self, items: Sequence[Any]) -> torch.Tensor:
        """Shape [n, width]."""
        return torch.from_numpy(np.stack(items))

    def forward(self, module: torch.nn.Module, batch: Any) -> Any:
        """Logits, shape [n, 2]."""
        return module(batch)


def _module() -> torch.nn.Module:
    return torch.nn.Sequential(
        OrderedDict(
            hidden=torch.nn.Linear(WIDTH, HIDDEN),
            relu=torch.nn.ReLU(),
            dropout=torch.nn.Dropout(0.1),
            head=torch.nn.Linear(HIDDEN, 2),
        )
    )
