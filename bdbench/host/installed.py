"""Distributions that are installed, as their metadata tell: nothing is imported."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

from bdbench.api import hooks

__all__ = [
    "distributions",
    "find_distribution",
    "has_module",
    "is_plugin",
    "name_of",
    "origin_of",
    "plugin_distributions",
    "sources_of",
    "stated",
]


def plugin_distributions() -> dict[str, metadata.Distribution]:
    """What is installed and has an entry point of bdbench's, by name, sorted; the host too."""
    found: dict[str, metadata.Distribution] = {}
    for point in metadata.entry_points(group=hooks.ENTRY_POINT_GROUP):
        # Of what is half removed nothing is known but its entry points.
        if point.dist is not None and (name := stated(point.dist, "Name")):
            # The first of a name is the one that Python would import.
            found.setdefault(name, point.dist)
    return dict(sorted(found.items()))


def distributions() -> Iterator[metadata.Distribution]:
    """All that is installed, but for what is half removed."""
    return (dist for dist in metadata.distributions() if stated(dist, "Name"))


def find_distribution(name: str) -> metadata.Distribution | None:
    """The distribution of a name, if it is installed."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return found if stated(found, "Name") else None


def stated(dist: metadata.Distribution, field: str) -> str:
    """What a distribution says of itself; empty if it says nothing, or is half removed.

    Where the ``importlib_metadata`` package was imported, its finder answers in the place of
    Python's own, and raises where that gives None.
    """
    try:
        found = dist.metadata[field]
    except (FileNotFoundError, KeyError):
        return ""
    return str(found or "")


def name_of(dist: metadata.Distribution) -> str:
    """A distribution's name; of one that is half removed that of its folder."""
    folder = PurePath(str(getattr(dist, "_path", "")))
    return stated(dist, "Name") or folder.stem.partition("-")[0] or "unknown"


def has_module(dist: metadata.Distribution, module: str) -> bool:
    """Whether a module is among a distribution's files, or may be.

    Nothing is known of an editable installation, and where there is no record.
    """
    record = dist.read_text("RECORD")
    if not record:
        return True
    path = module.replace(".", "/")
    starts = (f"{path}.", f"{path}/__init__.")
    own = any(row and row[0].startswith(starts) for row in csv.reader(record.splitlines()))
    return own or sources_of(dist) is not None


def is_plugin(dist: metadata.Distribution) -> bool:
    """Whether bdbench would load it."""
    return any(point.group == hooks.ENTRY_POINT_GROUP for point in dist.entry_points)


def origin_of(dist: metadata.Distribution) -> Mapping[str, Any]:
    """Where it was installed from, if not from an index (``direct_url.json``)."""
    try:
        found = json.loads(dist.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def sources_of(dist: metadata.Distribution) -> Path | None:
    """The folder of sources that an editable installation points to."""
    origin = origin_of(dist)
    if not (origin.get("dir_info") or {}).get("editable"):
        return None
    from urllib.parse import urlsplit  # noqa: PLC0415 -- for editable ones only
    from urllib.request import url2pathname  # noqa: PLC0415

    return Path(url2pathname(urlsplit(str(origin.get("url", ""))).path))
