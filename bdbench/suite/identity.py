"""Identities: one versioned function from what decides a result to a key.

In a key: the kind and revision of the stage; each component's full name, revision, code digest
and resolved configuration (files by their content); the keys of what it reads; its stream of
randomness; the arithmetic. Not in a key: device, host, paths, time, labels, evaluation batch
size, executor. The same function serves a plan and a finished record.

Raise `VERSION` when the function itself changes; a golden test holds the keys of version 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bdbench.api.config import ComponentConfig
from bdbench.api.seeds import SeedStream
from bdbench.host.digest import content_digest

__all__ = [
    "STAGE_REVISIONS",
    "VERSION",
    "component_identity",
    "digest_json",
    "stage_key",
    "with_paths",
]

VERSION = "v1"

STAGE_REVISIONS = {
    "data": 1,
    "poison": 1,
    "base": 1,
    "pretrained": 1,
    "victim": 1,
    "edited": 1,
    "triggered": 1,
    "treated": 2,
    "screened": 1,
    "predictions": 2,
    "attack_scores": 1,
    "scores": 1,
}
"""Raise a number when the host's code for that stage can give another result."""


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return _ENCODER.encode(value).encode()


def digest_json(value: Any) -> str:
    """The sha256 of a value's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def component_identity(
    full_name: str, revision: int, code: str, config: ComponentConfig, *, where: str
) -> str:
    """The identity of a configured component.

    Args:
        full_name: ``<distribution>/<name>``.
        revision: The component's own.
        code: Digest of its distribution's code.
        config: Its settings, defaults filled in.
        where: For the message if a file that the settings name cannot be read.
    """
    return digest_json(
        {
            "component": full_name,
            "revision": revision,
            "code": code,
            "config": config_identity(config, where=where),
        }
    )


def config_identity(config: ComponentConfig, *, where: str) -> dict[str, Any]:
    """A configuration as data, with the digest of its content in place of every path."""

    def digest(path: Path, place: str) -> Any:
        return {"sha256": content_digest(path, where=f"{where}.{place}")}

    return with_paths(config, digest)


def with_paths(config: ComponentConfig, change: Callable[[Path, str], Any]) -> dict[str, Any]:
    """A configuration as JSON data, with ``change(path, place)`` in place of every path."""
    data: dict[str, Any] = _with_paths(config, config.model_dump(mode="json"), change, "")
    return data


def _with_paths(value: Any, plain: Any, change: Callable[[Path, str], Any], place: str) -> Any:
    """`plain` is what `value` looks like as JSON data: it has its form, and no paths."""
    if isinstance(value, Path):
        return change(value, place)
    if isinstance(value, set | frozenset):
        pairs = zip(value, plain, strict=True)
        changed = [_with_paths(item, old, change, f"{place}.*") for item, old in pairs]
        # Their order differs from process to process.
        return sorted(changed, key=canonical)
    if isinstance(plain, dict):
        items = (
            [getattr(value, name) for name in plain]
            if isinstance(value, BaseModel)
            else value.values()
        )
        return {
            name: _with_paths(item, old, change, f"{place}.{name}" if place else name)
            for (name, old), item in zip(plain.items(), items, strict=True)
        }
    if isinstance(plain, list):
        return [
            _with_paths(item, old, change, f"{place}.{index}")
            for index, (old, item) in enumerate(zip(plain, value, strict=True))
        ]
    return plain


def stage_key(kind: str, decides: Mapping[str, Any], seeds: SeedStream | None = None) -> str:
    """The key of a stage.

    Args:
        kind: A kind of `STAGE_REVISIONS`.
        decides: Everything else that its result depends on: identities of components, keys
            of stages, plain settings.
        seeds: Its stream of randomness.
    """
    return digest_json(
        {
            "version": VERSION,
            "stage": kind,
            "revision": STAGE_REVISIONS[kind],
            "seeds": [seeds.root, *seeds.path] if seeds else None,
            "decides": decides,
        }
    )
