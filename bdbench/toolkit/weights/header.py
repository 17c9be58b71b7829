"""The header of a safetensors file: which tensors it holds, and where.

The format: eight bytes with the length of the header (little endian), the header as JSON, then
the tensors one after another without gaps. A file may come from anybody, so nothing that its
header says is believed before it is checked against the size of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bdbench.api import InputError

__all__ = ["Header", "TensorInfo", "format_header", "read_header"]

_PREFIX = 8
_LONGEST = 100_000_000  # the limit of the safetensors library

# Left out on purpose: 8-bit and narrower floats. They stand in quantised checkpoints, where a
# value means nothing without its scale, so that arithmetic on them would be wrong.
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


_Size = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    dtype: str
    shape: list[_Size]
    data_offsets: list[_Size]


_DOCUMENT = TypeAdapter(dict[str, Any])
_ENTRIES = TypeAdapter(dict[str, _Entry])
_METADATA = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor without its values."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes in a file."""
        return self.numel * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Header:
    """What a file holds.

    Attributes:
        tensors: In the order in which they lie in the file.
        offsets: Where each begins, in bytes from the start of the file.
        metadata: Free text by key, as its writer left it.
    """

    tensors: tuple[TensorInfo, ...]
    offsets: tuple[int, ...]
    metadata: Mapping[str, str]


def format_header(tensors: Sequence[TensorInfo], metadata: Mapping[str, str]) -> bytes:
    """The first bytes of a file that holds `tensors` in this order."""
    document: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for info in tensors:
        begin, end = end, end + info.nbytes
        document[info.name] = {
            "dtype": _CODES[info.dtype],
            "shape": list(info.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _PREFIX)  # so that the tensors start aligned
    return len(text).to_bytes(_PREFIX, "little") + text


def read_header(file: BinaryIO, size: int, where: str) -> Header:
    """Reads and checks the header of a file of `size` bytes.

    Raises:
        InputError: The file is cut short, is not safetensors, or holds a kind of tensor that
            no arithmetic is defined for.
    """
    length = int.from_bytes(file.read(_PREFIX), "little")
    if not 2 <= length <= min(_LONGEST, size - _PREFIX):
        raise _malformed(where, f"a header of {length} bytes in a file of {size} bytes")
    try:
        document = _DOCUMENT.validate_json(file.read(length))
        metadata = _METADATA.validate_python(document.pop("__metadata__", {}))
        entries = _ENTRIES.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"[{part!r}]" for part in first["loc"])
        raise _malformed(where, f"in its header{place}: {first['msg']}") from None

    tensors, offsets, end = [], [], 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        span, code = entry.data_offsets, entry.dtype
        if code not in _DTYPES:
            raise InputError(
                "a tensor is of a type that has no arithmetic here",
                where=where,
                found=f"{name!r} of type {code}",
                expected=f"one of {', '.join(_DTYPES)}",
                next="use the checkpoint as it was before quantisation",
            )
        info = TensorInfo(name, _DTYPES[code], tuple(entry.shape))
        if span != [end, end + info.nbytes]:
            raise _malformed(where, f"{name!r} at {span}, which its shape or its place forbids")
        tensors.append(info)
        offsets.append(_PREFIX + length + end)
        end += info.nbytes
    if _PREFIX + length + end != size:
        raise _malformed(where, f"{size} bytes where the header tells {_PREFIX + length + end}")
    return Header(tuple(tensors), tuple(offsets), metadata)


def _malformed(where: str, found: str) -> InputError:
    return InputError(
        "not a whole safetensors file",
        where=where,
        found=found,
        expected="a file as the safetensors library writes it",
        next="copy or save the checkpoint again",
    )
