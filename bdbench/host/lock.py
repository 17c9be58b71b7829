"""A lock: the exact plugins, versions and code behind a suite, to be had again elsewhere."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bdbench.api import hooks
from bdbench.api.errors import InputError, PluginError
from bdbench.api.version import API_VERSION
from bdbench.host.digest import HOST_DISTRIBUTION, code_digest, package_digest
from bdbench.host.installed import find_distribution, origin_of
from bdbench.host.plugins import Component
from bdbench.host.registry import Registry
from bdbench.host.requirements import required_by
from bdbench.host.verify import Integrity, verify

__all__ = ["Difference", "Lock", "differences", "make_lock", "read_lock", "write_lock"]

SCHEMA = "bdbench.lock/1"
PACKAGES = ("datasets", "numpy", "pyarrow", "safetensors", "tokenizers", "torch", "transformers")
"""What all results rest on, whether it is required by name or by what is required."""

Name = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LockedPlugin(_Part):
    """A plugin, or the host.

    Attributes:
        distribution: Its name.
        version: Its version.
        code: Digest of the files of its packages.
        sha256: Of the wheels that it may have come from, where that is known; for whoever installs
            it elsewhere, and not compared.
    """

    distribution: Name
    version: str
    code: str
    sha256: list[str] = []


class LockedComponent(_Part):
    """A component that the suite names."""

    kind: str
    component: str
    revision: int
    code: str


class Lock(_Part):
    """What a suite's results depend on, its own settings and the machine apart.

    Attributes:
        suite: Its name.
        python: The version of Python.
        api: That of bdbench's API.
        host: bdbench.
        packages: Version by normalised name: `PACKAGES`, and what the host and the plugins require.
        plugins: Those that bring the suite's components.
        components: All that the suite names.
    """

    schema_: Literal["bdbench.lock/1"] = Field(alias="schema")
    suite: str
    python: str
    api: str
    host: LockedPlugin
    packages: dict[Name, str]
    plugins: list[LockedPlugin]
    components: list[LockedComponent]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as locked.

    Attributes:
        what: What it is about.
        locked: What the lock says; empty if it knows nothing of it.
        here: What is here; empty if nothing is.
    """

    what: str
    locked: str
    here: str


def make_lock(suite: str, components: Iterable[Component], registry: Registry) -> Lock:
    """The lock of a suite, from what is installed.

    Args:
        suite: Its name.
        components: All that it names.
        registry: Knows the wheels of what is pinned.
    """
    found = list(components)
    names = sorted({item.distribution for item in found} - {HOST_DISTRIBUTION})
    return Lock(
        schema="bdbench.lock/1",
        suite=suite,
        python=platform.python_version(),
        api=API_VERSION,
        host=_plugin(HOST_DISTRIBUTION, registry),
        packages=_packages(names),
        plugins=[_plugin(name, registry) for name in names],
        components=_components(found),
    )


def _packages(plugins: Iterable[str]) -> dict[str, str]:
    """The versions of what bdbench and some plugins rest on, by normalised name, sorted."""
    locked = [HOST_DISTRIBUTION, *plugins]
    dists = map(find_distribution, locked)
    needed = frozenset(PACKAGES).union(*(required_by(dist) for dist in dists if dist))
    return _versions(needed - {canonicalize_name(name) for name in locked})


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {name: find_distribution(name) for name in sorted(names)}
    return {name: dist.version for name, dist in found.items() if dist}


def _components(components: Iterable[Component]) -> list[LockedComponent]:
    found = {
        (item.spec.kind, item.full_name): LockedComponent(
            kind=item.spec.kind,
            component=item.full_name,
            revision=item.spec.revision,
            code=code_digest(item),
        )
        for item in components
    }
    return [found[key] for key in sorted(found)]


def _plugin(name: str, registry: Registry) -> LockedPlugin:
    dist = find_distribution(name)
    if dist is None:
        raise PluginError("it is not installed as a distribution", where=name)
    return LockedPlugin(
        distribution=name,
        version=dist.version,
        code=_code(dist),
        sha256=_wheels(dist, registry),
    )


def _code(dist: metadata.Distribution) -> str:
    """The digest of the files of the packages that its entry points name."""
    points = [point for point in dist.entry_points if point.group == hooks.ENTRY_POINT_GROUP]
    packages = sorted({point.module.partition(".")[0] for point in points})
    return "+".join(package_digest(package, dist.name) for package in packages)


def _wheels(dist: metadata.Distribution, registry: Registry) -> list[str]:
    result = verify(dist, registry)
    if result.integrity is Integrity.PINNED and result.entry and result.entry.pin:
        return list(result.entry.pin.sha256)
    if result.integrity is Integrity.CHANGED:
        return []
    hashes = (origin_of(dist).get("archive_info") or {}).get("hashes") or {}
    return [str(hashes["sha256"])] if "sha256" in hashes else []


def differences(
    lock: Lock, registry: Registry, components: Iterable[Component] | None = None
) -> list[Difference]:
    """What is not as locked.

    Args:
        lock: What should be.
        registry: What is listed.
        components: All that the suite names; None as long as no plugin has been imported, to
            compare what can be told without.
    """
    return [item for item in _compare(lock, registry, components) if item.locked != item.here]


def _compare(
    lock: Lock, registry: Registry, components: Iterable[Component] | None
) -> Iterator[Difference]:
    if components is not None:
        locked = {(item.kind, item.component): item for item in lock.components}
        here = {(item.kind, item.component): item for item in _components(components)}
        for key in sorted(locked.keys() | here.keys()):
            one, other = (_component_text(side.get(key)) for side in (locked, here))
            yield Difference(" ".join(key), one, other)
        return
    yield Difference("python", lock.python, platform.python_version())
    yield Difference("api", lock.api, API_VERSION)
    # What a plugin requires that is not here, or is here in another version, says only the lock.
    packages = _packages(plugin.distribution for plugin in lock.plugins)
    packages |= _versions(lock.packages)
    for name in sorted(lock.packages.keys() | packages.keys()):
        yield Difference(name, lock.packages.get(name, ""), packages.get(name, ""))
    for plugin in (lock.host, *lock.plugins):
        installed = find_distribution(plugin.distribution)
        now = _plugin(plugin.distribution, registry) if installed else None
        yield Difference(plugin.distribution, plugin.version, now.version if now else "")
        if now:
            yield Difference(f"code of {plugin.distribution}", plugin.code, now.code)


def _component_text(item: LockedComponent | None) -> str:
    return f"revision {item.revision}, code {item.code}" if item else ""


def write_lock(lock: Lock, *, as_yaml: bool) -> str:
    """A lock as text: JSON or YAML."""
    data: Mapping[str, Any] = lock.model_dump(mode="json", by_alias=True)
    if as_yaml:
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return json.dumps(data, indent=2) + "\n"


def read_lock(path: Path) -> Lock:
    """Reads a lock, whether JSON or YAML.

    Raises:
        InputError: It cannot be read, or is no lock of this version.
    """
    try:
        # JSON is YAML.
        return Lock.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        found, expected = f"{place}: {first['input']!r}"[:200], first["msg"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        found, expected = " ".join(str(error).split()), f"a file of the schema {SCHEMA}"
    raise InputError(
        "the lock cannot be read",
        where=str(path),
        found=found,
        expected=expected,
        next="write it anew with `bdbench export-lock`",
    )
