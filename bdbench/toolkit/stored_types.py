"""A model that was computed with in fp32, saved in the types of the model that it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bdbench.api import Checkpoint
from bdbench.toolkit.transformers_folder import read_json
from bdbench.toolkit.weights.reader import require_finite

__all__ = ["restore_stored_types"]

# Narrower ones mean nothing without a scale that stands elsewhere; they are left alone.
_FLOATS = {
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
}


def restore_stored_types(folder: Path, like: Checkpoint) -> None:
    """Casts the floating tensors in `folder` to the types in which `like` stores them.

    A tensor that `like` does not have by this name takes the type that all of its tensors share,
    if they do. ``config.json`` says what that of `like` says of the type. Where nothing is to be
    cast, no file is touched.

    Args:
        folder: A model as transformers has just written it.
        like: The model that it was made from.

    Raises:
        NonFiniteError: A value is too large for the type.
    """
    wanted = _types(like.weight_files())
    shared = set(wanted.values())
    default = next(iter(shared)) if len(shared) == 1 else None
    cast = False
    for path in Checkpoint(folder).weight_files():
        changes = {
            name: dtype
            for name, written in _types([path]).items()
            if (dtype := wanted.get(name, default)) not in {None, written}
        }
        if changes:
            _cast(path, changes)
            cast = True
    if cast:
        _restore_config(folder / "config.json", like.folder / "config.json", default)


def _types(paths: Sequence[Path]) -> dict[str, torch.dtype]:
    """The type of each floating tensor in some files; their headers are read, no weights."""
    found = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 -- not a mapping
                code = file.get_slice(name).get_dtype()
                if code in _FLOATS:
                    found[name] = _FLOATS[code]
    return found


def _cast(path: Path, types: Mapping[str, torch.dtype]) -> None:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    for name, dtype in types.items():
        tensors[name] = tensors[name].to(dtype)
        require_finite(tensors[name], name, "the result", advice="save the victim in fp32 or bf16")
    save_file(tensors, path, metadata=metadata)


def _restore_config(path: Path, like: Path, default: torch.dtype | None) -> None:
    written, stated = read_json(path), read_json(like)
    # Older versions of transformers call it torch_dtype.
    said = stated.get("dtype") or stated.get("torch_dtype")
    if said is None and default is not None:
        said = str(default).removeprefix("torch.")
    if said is not None:
        text = json.dumps(written | {"dtype": said}, indent=2, sort_keys=True)
        path.write_text(text + "\n", "utf-8")
