"""A lock as a file of requirements, which pip and uv understand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from bdbench.api.errors import InputError
from bdbench.host.installed import find_distribution, origin_of
from bdbench.host.lock import Lock, LockedPlugin
from bdbench.host.registry import Registry
from bdbench.host.requirements import is_same_version

__all__ = ["requirements_of"]

DIGEST = re.compile(r"[0-9a-f]{64}")
UNPUBLISHED = """\
# No wheel of these is published: build them from their sources, and add --find-links FOLDER.
"""
MIXED = """\
# Some lines have a digest, others have none. uv checks those that there are. pip wants one for
# every line of a file that has any: give it those with --hash in another file, with --no-deps.
"""


def requirements_of(lock: Lock, registry: Registry) -> str:
    """The file of requirements that installs what a lock names.

    A line has the digests of the wheels that may be installed, where they are known: of a plugin
    those that the lock names, of what is installed with one those that the registry pins.

    Args:
        lock: What should be installed; nothing of it need be here.
        registry: What is pinned.

    Raises:
        InputError: The lock holds what is no name, version or digest.
    """
    pinned = dict(_needed(lock.plugins, registry))
    every = [lock.host, *lock.plugins]
    by_hand = [item for item in every if _is_unpublished(item, registry)]
    packages = {item: _line(*item, pinned.get(item, ())) for item in sorted(lock.packages.items())}
    # Not those from folders: conda's packages name the one in which conda built them.
    built = [item for item in packages if item not in pinned and "vcs_info" in _origin(*item)]
    lines = [
        *(_of(item) for item in [lock.host] if item not in by_hand),
        *(line for item, line in packages.items() if item not in built),
        *(_of(item) for item in lock.plugins if item not in by_hand),
    ]
    more = [*(_of(item) for item in by_hand), *(packages[item] for item in built)]
    hashed = {"--hash" in line for line in [*lines, *more]}
    # As JSON, so that no name begins a line of its own.
    suite, python, api = map(json.dumps, (lock.suite, lock.python, lock.api))
    head = f"# The suite {suite} was locked with this, on Python {python}, bdbench's API {api}.\n"
    return "".join(
        [head, MIXED if len(hashed) > 1 else "", *lines, UNPUBLISHED if more else "", *more]
    )


def _is_unpublished(plugin: LockedPlugin, registry: Registry) -> bool:
    """Whether no wheel is known, and what is installed was built or a file of somebody's."""
    entry = registry.entry(plugin.distribution)
    if plugin.sha256 or (entry and entry.pin and entry.pin.sha256):
        return False
    if entry is not None:
        return True
    origin = _origin(plugin.distribution, plugin.version)
    url = str(origin.get("url", ""))
    return url.startswith("file:") or (bool(url) and "archive_info" not in origin)


def _origin(name: str, version: str) -> Mapping[str, Any]:
    """Where it was installed from, if it is here in that version and did not come from an index."""
    dist = find_distribution(name)
    return origin_of(dist) if dist and is_same_version(dist.version, version) else {}


def _of(plugin: LockedPlugin) -> str:
    return _line(plugin.distribution, plugin.version, plugin.sha256)


def _needed(
    plugins: Iterable[LockedPlugin], registry: Registry
) -> Iterator[tuple[tuple[str, str], list[str]]]:
    for plugin in plugins:
        entry = registry.entry(plugin.distribution)
        if entry and entry.pin and is_same_version(entry.pin.version, plugin.version):
            for need in entry.pin.needs:
                yield (need.distribution, need.version), need.sha256


def _line(name: str, version: str, digests: Iterable[str]) -> str:
    """One requirement; a lock may come from anybody, and must not bring options of its own."""
    text = f"{name}=={version}"
    try:
        whole = str(Requirement(text)) == text and re.fullmatch(r"[\w.=+!-]+", text, re.ASCII)
    except InvalidRequirement:
        whole = None
    wrong = [digest for digest in digests if not DIGEST.fullmatch(digest)]
    if not whole or wrong:
        raise InputError(
            "the lock holds what cannot be installed",
            where=name.encode("unicode_escape").decode(),
            found=repr(wrong[0] if wrong else text),
            expected="64 hexadecimal digits" if wrong else "a name and a version, such as a==1.0",
            next="write it anew with `bdbench export-lock`",
        )
    return text + "".join(f" --hash=sha256:{digest}" for digest in digests) + "\n"
