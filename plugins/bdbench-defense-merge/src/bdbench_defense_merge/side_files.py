"""What a method learns of each model, kept on the disk: as large as the models or larger."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bdbench.api import Checkpoint
from bdbench.toolkit.weights import TensorInfo, WeightReader, WeightWriter

if TYPE_CHECKING:
    import torch

__all__ = ["open_side_file"]


def open_side_file(
    tensors: Mapping[str, torch.Tensor], folder: Path, name: str, files: ExitStack
) -> WeightReader:
    """Writes tensors to a new folder and opens them for reading, until `files` is closed.

    Args:
        tensors: By name, in any shape.
        folder: Must not exist yet.
        name: What messages call them.
        files: Closes the reader.
    """
    folder.mkdir(parents=True)
    planned = [TensorInfo(key, value.dtype, tuple(value.shape)) for key, value in tensors.items()]
    with WeightWriter(folder / "model.safetensors", planned) as writer:
        for key, value in tensors.items():
            writer.write(key, value.cpu())
    return files.enter_context(WeightReader(Checkpoint(folder), name))
