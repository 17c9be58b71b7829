"""Which requirements hold here, and who requires what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from bdbench.host.installed import distributions, find_distribution

__all__ = ["is_same_version", "needed_by", "required_by", "unmet"]


def is_same_version(one: str, other: str) -> bool:
    """Whether two texts mean one version, as ``1`` and ``1.0`` do."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def required_by(dist: metadata.Distribution) -> frozenset[str]:
    """The normalised names of what a distribution requires here; extras do not count."""
    return frozenset(
        canonicalize_name(requirement.name)
        for requirement in map(_readable, dist.requires or ())
        if requirement and _counts(requirement)
    )


def _readable(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _counts(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def unmet(
    requirements: Iterable[str], besides: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """The requirements that do not hold here, each with what was found instead.

    Args:
        requirements: As in a distribution's metadata; those of extras do not count.
        besides: Versions, by normalised name, of what will be installed too.
    """
    missing = []
    for text in requirements:
        requirement = _readable(text)
        if requirement is None:
            missing.append((text, "not a requirement that can be read"))
            continue
        if not _counts(requirement):
            continue
        version = (besides or {}).get(canonicalize_name(requirement.name))
        if version is None:
            dist = find_distribution(requirement.name)
            version = dist.version if dist else None
        if version is None:
            missing.append((text, "not installed"))
        elif not requirement.specifier.contains(version, prereleases=True):
            missing.append((text, version))
    return missing


def needed_by(name: str) -> list[str]:
    """The installed distributions that require one."""
    wanted = canonicalize_name(name)
    return sorted({dist.name for dist in distributions() if wanted in required_by(dist)})
