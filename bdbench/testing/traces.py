"""Whatever a component gave or was given, as named arrays: to compare, to hash, to send."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel
from safetensors import safe_open

from bdbench.api import Checkpoint

__all__ = ["Trace", "differences", "fingerprint", "trace"]

Array = np.ndarray[Any, Any]
Trace = Mapping[str, Array]
"""Arrays of numbers or text by what they are, for instance ``poisoned rows.labels``."""

RELATIVE, ABSOLUTE = 1e-4, 1e-6
"""Beyond this, numbers differ by more than the order of a sum."""


def trace(name: str, value: Any) -> dict[str, Array]:
    """A value as named arrays.

    Args:
        name: What it is.
        value: Plain data, arrays, tensors, dataclasses (rows, evidence), configurations,
            checkpoints (by their tensors).
    """
    return dict(_parts(name, value))


def _parts(name: str, value: Any) -> Iterator[tuple[str, Array]]:
    if isinstance(value, Checkpoint):
        yield from _tensors(name, value)
    elif isinstance(value, BaseModel):
        yield from _parts(name, value.model_dump(mode="json"))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        yield from _parts(name, fields)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _parts(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        yield from _sequence(name, value)
    elif isinstance(value, set | frozenset):
        yield from _sequence(name, sorted(value, key=repr))
    elif hasattr(value, "detach"):
        yield name, value.detach().cpu().float().numpy()
    elif isinstance(value, np.ndarray):
        yield name, value if value.dtype != object else np.array([repr(item) for item in value])
    else:
        yield name, np.asarray(_plain(value))


def _sequence(name: str, values: Sequence[Any]) -> Iterator[tuple[str, Array]]:
    first = values[0] if len(values) else None
    if isinstance(first, np.ndarray) and len({np.shape(item) for item in values}) == 1:
        yield name, np.stack(values)
    elif isinstance(first, np.ndarray | list | tuple | Mapping) or dataclasses.is_dataclass(first):
        for number, item in enumerate(values):
            yield from _parts(f"{name}[{number}]", item)
    else:
        plain = [_plain(item) for item in values]
        kinds = {type(item) for item in plain}
        same = len(kinds) == 1 or kinds == {int, float}
        yield name, np.asarray(plain if same else [repr(item) for item in plain])


def _plain(value: Any) -> bool | int | float | str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.hex()
    # A NUL at the end would be lost in an array.
    if isinstance(value, str):
        return json.dumps(value)
    return value if isinstance(value, bool | int | float) else repr(value)


def _tensors(name: str, checkpoint: Checkpoint) -> Iterator[tuple[str, Array]]:
    for path in checkpoint.weight_files():
        with safe_open(path, framework="pt") as file:
            for key in sorted(file.keys()):
                yield f"{name}.{key}", file.get_tensor(key).float().numpy()


def differences(one: Trace, other: Trace) -> list[str]:
    """What is not the same in both, rounding apart."""
    found = sorted(one.keys() ^ other.keys())
    return [*found, *(name for name in one if name in other and _differ(one[name], other[name]))]


def _differ(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return True
    if one.dtype.kind in "US" or other.dtype.kind in "US":
        return one.dtype.kind != other.dtype.kind or bool((one != other).any())
    if one.dtype.kind in "fc" or other.dtype.kind in "fc":
        return not np.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    return bool((one != other).any())


def fingerprint(value: Any) -> str:
    """A digest of a value, to tell whether it was changed; of a checkpoint, of all its files."""
    digest = hashlib.sha256()
    if isinstance(value, Checkpoint):
        for path in sorted(item for item in value.folder.rglob("*") if item.is_file()):
            digest.update(f"{_place(path, value.folder)}\0".encode() + path.read_bytes())
        return digest.hexdigest()
    for name, array in trace("", value).items():
        digest.update(f"{name}|{array.dtype}|{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _place(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
