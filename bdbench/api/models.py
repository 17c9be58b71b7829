"""Victims: checkpoints on disk, the families that load them, and the work the host lends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import Field

from bdbench.api.config import ComponentConfig
from bdbench.api.data import Examples, Task
from bdbench.api.seeds import SeedStream

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["Checkpoint", "Engine", "Model", "Outputs", "Recipe"]

Result = TypeVar("Result")

Outputs = Mapping[str, "np.ndarray[Any, Any]"]
"""What a model says of rows: columns by name, the first axis being the row. A classifier gives
``prediction`` [n] (class numbers) and ``probabilities`` [n, classes]."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model on disk: a folder with safetensors weights and whatever its family needs.

    Attributes:
        folder: Treat it as read-only.
    """

    folder: Path

    def weight_files(self) -> list[Path]:
        """The safetensors files, in order of their names."""
        return sorted(self.folder.glob("*.safetensors"))


class Recipe(ComponentConfig):
    """How the host trains: AdamW, linear warm-up and decay, batches of similar length.

    The last epoch is always kept; no checkpoint is ever chosen by its score.
    """

    epochs: int = Field(default=2, ge=1, description="Passes over the training rows.")
    batch_size: int = Field(default=32, ge=1, description="Rows in each gradient step.")
    learning_rate: float = Field(
        default=1.5e-4, gt=0, description="Highest learning rate, reached after the warm-up."
    )
    warmup: float = Field(
        default=0.1, ge=0, lt=1, description="Share of the steps with a rising learning rate."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's decoupled decay.")
    max_grad_norm: float = Field(default=1.0, gt=0, description="Gradients are clipped to this.")


class Model(ABC):
    """A family of victims: how to start, load, feed and read a model.

    The host does the training and the evaluation; a family says what is particular to the
    architecture. `bdbench.toolkit` has ready-made bases (`Classifier`,
    `TransformersClassifier`), so that most families are a few lines.

    Args:
        config: The validated configuration; store it and do nothing else.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def prepare(self, task: Task, folder: Path, seeds: SeedStream) -> None:
        """Writes the checkpoint that training starts from: pre-trained body, fresh head.

        Raises:
            InputError: The weights cannot be found, or are not what they should be.
        """

    @abstractmethod
    def load(self, checkpoint: Checkpoint) -> torch.nn.Module:
        """The model in fp32 on the CPU, in evaluation mode.

        Raises:
            InputError: The folder does not hold a model of this family.
        """

    @abstractmethod
    def save(self, module: torch.nn.Module, like: Checkpoint, folder: Path) -> None:
        """Writes `module` to an empty folder, with everything else as in `like`."""

    @abstractmethod
    def encode(self, examples: Examples, checkpoint: Checkpoint) -> Sequence[Any]:
        """One item per row, ready to be collated (token ids, arrays)."""

    def size(self, item: Any) -> int:  # noqa: ARG002 -- the default ignores it
        """How much work an encoded item is, for batches of similar size (tokens, pixels)."""
        return 1

    @abstractmethod
    def collate(self, items: Sequence[Any]) -> Any:
        """A batch of encoded items, as (nested mappings of) tensors."""

    @abstractmethod
    def forward(self, module: torch.nn.Module, batch: Any) -> Any:
        """The raw outputs for a batch, for instance logits [n, classes]."""

    @abstractmethod
    def loss(self, raw: Any, labels: Sequence[Any]) -> torch.Tensor:
        """The loss of each row, shape [n], from raw outputs and answers."""

    @abstractmethod
    def read(self, raw: Any) -> dict[str, torch.Tensor]:
        """What the raw outputs say, as the columns of `Outputs`; first axis the row."""


class Engine(Protocol):
    """The torch work that the host does for a component, so that all are measured alike.

    A component gets one that is bound to its cell's model family and counts what is used. Most
    need `fine_tune` only; a method that is a training loop of its own is made of `batches`,
    `loss` and `step`, so that it is counted too.
    """

    def load(self, checkpoint: Checkpoint) -> torch.nn.Module:
        """A fresh copy of the model, on the device where it will run."""
        ...

    def save(self, module: torch.nn.Module, like: Checkpoint, folder: Path) -> Checkpoint:
        """Writes a model to a new folder; refuses non-finite weights."""
        ...

    def predict(self, module: torch.nn.Module, like: Checkpoint, rows: Examples) -> Outputs:
        """The outputs for every row, in the order of the rows; refuses non-finite ones.

        `like` is a checkpoint that the module came from: its tokenizer, if any, is used.
        """
        ...

    def fine_tune(
        self,
        module: torch.nn.Module,
        like: Checkpoint,
        rows: Examples,
        recipe: Recipe,
        seeds: SeedStream,
        penalty: Callable[[torch.nn.Module], torch.Tensor] | None = None,
        objective: Callable[[torch.nn.Module, Any, Sequence[Any]], torch.Tensor] | None = None,
    ) -> None:
        """Trains the module in place on the rows, by the host's own loop.

        Args:
            module: What is trained; parameters with ``requires_grad`` off stay as they are.
            like: A checkpoint that the module came from.
            rows: What it is trained on.
            recipe: How.
            seeds: Decides the order of the rows and the dropout.
            penalty: A scalar that is added to the mean loss of every batch.
            objective: In place of the family's loss: from the module, the inputs and the
                answers of a batch, the loss of each row, shape [n]. It runs in the suite's
                arithmetic and counts as one forward pass.
        """
        ...

    def batches(
        self, like: Checkpoint, rows: Examples, batch_size: int, seeds: SeedStream
    ) -> Iterator[tuple[Any, Sequence[Any]]]:
        """One shuffled pass: (collated inputs where the model runs, answers), for own loops."""
        ...

    def loss(self, module: torch.nn.Module, inputs: Any, labels: Sequence[Any]) -> torch.Tensor:
        """The loss of each row of a batch, shape [n], in the suite's arithmetic."""
        ...

    def forward(self, call: Callable[[], Result], rows: int) -> Result:
        """A forward pass of one's own, in the suite's arithmetic, counted as so many rows.

        For what `loss` does not give, such as hidden states.
        """
        ...

    def step(
        self, optimizer: torch.optim.Optimizer, loss: torch.Tensor, rows: int, max_norm: float
    ) -> None:
        """Backward through a scalar loss of `rows` rows, gradients clipped, one step.

        Raises:
            NonFiniteError: The loss is NaN or infinite.
        """
        ...
