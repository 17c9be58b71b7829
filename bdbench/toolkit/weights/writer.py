"""Writing a safetensors file piece by piece.

The safetensors library writes a whole state dict at once, which holds every tensor in memory
(measured: 2.5 GB for a model of 976 million bf16 parameters). Here the header is written first
from the planned shapes, then the elements as they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from bdbench.toolkit.weights.header import TensorInfo, format_header

__all__ = ["WeightWriter"]


class WeightWriter:
    """A new safetensors file, filled from front to back. A context manager.

    Leaving the context normally while elements are missing raises `ValueError`. A file that
    was left by an error is shorter than its header says, so no reader takes it for a whole one.

    Args:
        path: Must not exist yet.
        tensors: All that will be written, in this order.
        metadata: ``format`` is filled in with ``pt``, which transformers looks for.
    """

    def __init__(
        self, path: Path, tensors: Sequence[TensorInfo], metadata: Mapping[str, str] | None = None
    ) -> None:
        self._left = [(info, info.numel) for info in reversed(tensors) if info.numel]
        self._file = path.open("xb")
        self._file.write(format_header(tensors, {"format": "pt", **(metadata or {})}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None and self._left:
            info, missing = self._left[-1]
            raise ValueError(f"{missing} elements of {info.name!r} were not written")

    def write(self, name: str, values: torch.Tensor) -> None:
        """Appends the next elements of a tensor, in row-major order.

        Args:
            name: The tensor that they belong to: the first that is not complete yet.
            values: Any number of its elements, in its type; their shape does not matter.

        Raises:
            ValueError: They are not the next of the plan. No value of another type, length or
                name ever reaches the file.
        """
        if not values.numel():
            return
        info, missing = self._left[-1] if self._left else (None, 0)
        count = values.numel()
        if info is None or (name, values.dtype) != (info.name, info.dtype) or count > missing:
            plan = "nothing more" if info is None else f"{missing} of {info.name!r}, {info.dtype}"
            raise ValueError(f"the plan is {plan}; given {count} of {name!r}, {values.dtype}")
        self._file.write(values.detach().contiguous().flatten().view(torch.uint8).numpy().data)
        self._left[-1] = (info, missing - count)
        if count == missing:
            self._left.pop()
