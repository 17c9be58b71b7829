"""Reading the tensors of a checkpoint piece by piece."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import torch

from bdbench.api import Checkpoint, InputError, NonFiniteError
from bdbench.toolkit.weights.header import Header, TensorInfo, read_header

__all__ = ["PIECE", "StoredTensor", "WeightReader", "require_finite"]

PIECE = 1 << 17
"""Elements that are worked on at a time: 0.5 MiB in fp32. A few of these stay in a processor's
cache, and the allocator keeps their memory between pieces; twice as many, and it gave it back to
the system each time (measured: a million page faults and a quarter of the time)."""

_INDEX = "model.safetensors.index.json"


def require_finite(
    values: torch.Tensor, tensor: str, model: str, *, advice: str = "save or train it again"
) -> None:
    """Refuses NaN and infinity.

    Args:
        values: Floating, of any shape.
        tensor: What they belong to, for the message.
        model: What that belongs to.
        advice: What the message says to do next.

    Raises:
        NonFiniteError: Names the tensor and the model.
    """
    # NaN goes through to both ends, and infinity is an end; more than ten times faster than
    # `isfinite`, which makes a mask of it all.
    if values.numel() and not all(math.isfinite(end) for end in torch.aminmax(values)):
        raise NonFiniteError(
            "weights hold NaN or infinity",
            where=model,
            found=f"in tensor {tensor!r}",
            expected="finite numbers only",
            next=advice,
        )


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in an open file. Holds no values; reading takes them from the disk each time.

    Attributes:
        info: Its name, type and shape.
        model: The name of the model that it belongs to.
    """

    info: TensorInfo
    model: str
    _file: BinaryIO
    _offset: int

    def read(self, start: int = 0, stop: int | None = None) -> torch.Tensor:
        """The elements from `start` to `stop` in row-major order, shape [stop - start]."""
        stop = self.info.numel if stop is None else stop
        values = torch.empty(stop - start, dtype=self.info.dtype)
        # Read, not memory-mapped: mapped pages count as the process's memory, and a file that
        # is cut short while mapped kills the process.
        into = values.view(torch.uint8).numpy().data
        offset = self._offset + start * self.info.dtype.itemsize
        while into:
            got = os.preadv(self._file.fileno(), [into], offset)
            if not got:
                raise InputError(
                    "a weight file became shorter while it was read",
                    where=f"{self.model}: {self._file.name}",
                    found=f"no byte {offset}, which belongs to tensor {self.info.name!r}",
                    expected="files that nobody else changes",
                    next="restore the file, then run again",
                )
            into, offset = into[got:], offset + got
        return values

    def read_finite(self, start: int = 0, stop: int | None = None) -> torch.Tensor:
        """The same elements of a floating tensor, in fp32 (fp64 if stored so).

        Raises:
            NonFiniteError: One of them is NaN or infinite.
        """
        return self.widen(self.read(start, stop))

    def widen(self, values: torch.Tensor) -> torch.Tensor:
        """What `read_finite` gives for elements that `read` gave.

        Raises:
            NonFiniteError: One of them is NaN or infinite.
        """
        require_finite(values, self.info.name, self.model)
        return values.to(torch.promote_types(self.info.dtype, torch.float32))

    def load(self) -> torch.Tensor:
        """The whole tensor, in its type and shape."""
        return self.read().reshape(self.info.shape)


class WeightReader:
    """All tensors of a checkpoint, by name. Opening it reads the headers and no weights.

    A context manager: it keeps the files open.

    Args:
        checkpoint: Its safetensors files may be one or many shards, with or without an index.
        model: What messages call it.

    Attributes:
        model: What messages call it.
        files: The header of each file, by its path.
        tensors: Every tensor, by name.

    Raises:
        InputError: There are no weights, or they are not whole.
    """

    def __init__(self, checkpoint: Checkpoint, model: str = "model") -> None:
        self.model = model
        self.files: dict[Path, Header] = {}
        self.tensors: dict[str, StoredTensor] = {}
        self._handles: list[BinaryIO] = []
        try:
            for path in checkpoint.weight_files():
                self._open(path)
            self._check_index(checkpoint.folder)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[StoredTensor]:
        """The tensors, in the order of their files and their places in them."""
        return iter(self.tensors.values())

    def __getitem__(self, name: str) -> StoredTensor:
        """The tensor of this name."""
        return self.tensors[name]

    def close(self) -> None:
        """Closes the files."""
        for handle in self._handles:
            handle.close()

    def _open(self, path: Path) -> None:
        handle = path.open("rb", buffering=0)
        self._handles.append(handle)
        header = read_header(handle, path.stat().st_size, f"{self.model}: {path}")
        for info, offset in zip(header.tensors, header.offsets, strict=True):
            if info.name in self.tensors:
                raise InputError(
                    "two weight files hold a tensor of the same name",
                    where=f"{self.model}: {path}",
                    found=f"{info.name!r}, which an earlier file holds too",
                    expected="each tensor once",
                    next="remove the files that do not belong to the checkpoint",
                )
            self.tensors[info.name] = StoredTensor(info, self.model, handle, offset)
        self.files[path] = header

    def _check_index(self, folder: Path) -> None:
        if not self.tensors:
            raise InputError(
                "no weights",
                where=f"{self.model}: {folder}",
                found=f"{len(self.files)} safetensors files and no tensor",
                expected="model.safetensors, or its shards",
                next="save the model in the safetensors format",
            )
        path = folder / _INDEX
        if not path.is_file():
            return
        listed = _weight_map(path, f"{self.model}: {path}")
        present = {
            info.name: file.name for file, header in self.files.items() for info in header.tensors
        }
        astray = sorted(name for name in listed if listed[name] != present.get(name))
        if astray:
            name = astray[0]
            raise InputError(
                "the checkpoint is not whole",
                where=f"{self.model}: {folder}",
                found=f"{name!r} in {present.get(name, 'no file')} ({len(astray)} such tensors)",
                expected=f"in {listed[name]}, as {_INDEX} says",
                next="copy the missing shards, or save the checkpoint again",
            )


def _weight_map(path: Path, where: str) -> dict[str, Any]:
    try:
        listed = json.loads(path.read_bytes())["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        listed = error
    if not isinstance(listed, dict):
        raise InputError(
            "the index of the shards cannot be read",
            where=where,
            found=str(listed),
            expected="a JSON object with a `weight_map` from tensors to files",
            next="save the checkpoint again",
        )
    return listed
