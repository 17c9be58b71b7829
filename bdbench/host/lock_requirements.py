"""A lock as a file of requirements, which pip and uv understand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

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
    lines = [
        *(_of(item) for item in [lock.host] if item not in by_hand),
        *(
            _line(name, version, pinned.get((name, version), ()))
            for name, version in sorted(lock.packages.items())
        ),
        *(_of(item) for item in lock.plugins if item not in by_hand),
    ]
    more = [_of(item) for item in by_hand]
    hashed = {"--hash" in line for line in [*lines, *more]}
    # As JSON, so that no name begins a line of its own.
    suite, python, api = map(json.dumps, (lock.suite, lock.python, lock.api))
    head = f"# The suite {suite} was locked with this, on Python {python}, bdbench's API {api}.\n"
    return "".join(
        [head, MIXED if len(hashed) > 1 else "", *lines, UNPUBLISHED if more else "", *more]
    )


def _is_unpublished(plugin: LockedPlugin, registry: Registry) -> bool:
    """Whether no wheel is known, and what is installed came from a folder or file of somebody's."""
    entry = registry.entry(plugin.distribution)
    if plugin.sha256 or (entry and entry.pin and entry.pin.sha256):
        return False
    if entry is not None:
        return True
    dist = find_distribution(plugin.distribution)
    here = dist is not None and is_same_version(dist.version, plugin.version)
    return bool(dist and here and str(origin_of(dist).get("url", "")).startswith("file:"))


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
