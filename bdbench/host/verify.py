"""Are installed files those that were installed, and those that the registry pins?

What Python compiles for itself (``__pycache__``) is not looked at.
"""

from __future__ import annotations

import base64
import csv
import enum
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from bdbench.api.errors import PluginError
from bdbench.host.digest import HOST_DISTRIBUTION
from bdbench.host.files import files_digest, is_compiled, is_metadata, sha256_of
from bdbench.host.installed import plugin_distributions, sources_of
from bdbench.host.registry import Listed, Registry
from bdbench.host.requirements import is_same_version

__all__ = ["BAD", "Integrity", "Verified", "recorded_files", "require_pinned", "verify"]


class Integrity(enum.StrEnum):
    """What is known of a distribution's files."""

    PINNED = "pinned"
    """They are those of the version that the registry pins."""
    INTACT = "intact"
    """They are as they were installed; the registry pins nothing to hold them against."""
    EDITABLE = "editable"
    """They are a folder of sources, which may change at any time."""
    OTHER_VERSION = "other version"
    """They are as installed; the registry pins another version."""
    DIFFERENT = "different"
    """They are as installed, and not those that the registry pins for this version."""
    CHANGED = "changed"
    """They are not as they were installed."""
    UNRECORDED = "unrecorded"
    """There is no record of what was installed."""


BAD = frozenset({Integrity.CHANGED, Integrity.DIFFERENT})
"""What must not be: nothing that an author or a user does in the ordinary way leads to it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What looking at a distribution's files gave.

    Attributes:
        distribution: Its name.
        version: Its version.
        integrity: The outcome.
        details: Each file or digest that is not as it should be.
        files: The digest of what is installed (see `bdbench.host.files`), if it could be taken.
        entry: Its entry in the registry.
    """

    distribution: str
    version: str
    integrity: Integrity
    details: tuple[str, ...] = ()
    files: str = ""
    entry: Listed | None = None


def verify(dist: metadata.Distribution, registry: Registry) -> Verified:
    """Holds a distribution's files against its own record and against the registry.

    Imports nothing of it.
    """
    # Each access to `dist.metadata`, `dist.name` included, reads the file again.
    described = dist.metadata
    name, version = described["Name"], described["Version"]
    entry = registry.entry(name)
    if folder := sources_of(dist):
        return Verified(name, version, Integrity.EDITABLE, (f"sources in {folder}",), entry=entry)
    if not dist.read_text("RECORD"):
        return Verified(name, version, Integrity.UNRECORDED, ("it has no RECORD",), entry=entry)
    files, problems = recorded_files(dist)
    points = [(point.group, point.name, point.value) for point in dist.entry_points]
    own = canonicalize_name(name)
    digest = files_digest(
        {path: found for path, found in files.items() if not is_metadata(path, own)}, points
    )
    integrity, details = _judge(version, digest, problems, entry)
    return Verified(name, version, integrity, tuple(details), digest, entry)


def _judge(
    version: str, digest: str, problems: list[str], entry: Listed | None
) -> tuple[Integrity, list[str]]:
    if problems:
        return Integrity.CHANGED, problems
    if entry is None or entry.pin is None:
        return Integrity.INTACT, []
    if not is_same_version(version, entry.pin.version):
        return Integrity.OTHER_VERSION, [f"the registry pins {entry.pin.version}"]
    if digest in entry.pin.files:
        return Integrity.PINNED, []
    return Integrity.DIFFERENT, [
        f"digest of the files: the registry pins {', '.join(entry.pin.files)}, found {digest}"
    ]


def recorded_files(dist: metadata.Distribution) -> tuple[dict[str, str], list[str]]:
    """The SHA-256 (hex) of each recorded file, and what is wrong with them.

    What lies elsewhere than beside other packages is not read: it counts with its path and what is
    recorded of it, since no wheel that somebody pins has any.
    """
    root = Path(str(dist.locate_file("")))
    found: dict[str, str] = {}
    problems = []
    names = set()
    commands = _commands(dist)
    for path, recorded in _rows(dist):
        names.add(path)
        parts = PurePosixPath(path).parts
        # Commands are written by the installer, mostly elsewhere. They are not imported.
        if "/".join(parts[-2:]) in commands and (len(parts) == 2 or ".." in parts):
            continue
        if ".." in parts or PurePosixPath(path).is_absolute():
            found[path] = recorded
            continue
        if not recorded:
            # What Python compiled while it was installed is recorded without a digest.
            if not (parts[-1] == "RECORD" or (is_compiled(path) and "__pycache__" in parts)):
                problems.append(f"{path}: RECORD has no digest of it")
            continue
        file = root / path
        if not file.is_file():
            problems.append(f"{path}: it is gone")
            continue
        found[path] = sha256_of(file)
        if recorded != f"sha256={_encode(found[path])}":
            problems.append(f"{path}: RECORD has {_decode(recorded)}, found sha256 {found[path]}")
    problems += [f"{path}: RECORD does not know it" for path in _strangers(root, names)]
    return found, problems


def _rows(dist: metadata.Distribution) -> Iterator[tuple[str, str]]:
    for row in csv.reader((dist.read_text("RECORD") or "").splitlines()):
        if row and row[0]:
            yield row[0].replace("\\", "/"), row[1] if len(row) > 1 else ""


def _commands(dist: metadata.Distribution) -> set[str]:
    """Folder and name of what installers write for the distribution's commands."""
    groups = {"console_scripts", "gui_scripts"}
    names = [point.name for point in dist.entry_points if point.group in groups]
    files = {f"bin/{name}" for name in names}
    return files | {f"Scripts/{name}{end}" for name in names for end in ("", ".exe")}


def _strangers(root: Path, recorded: Collection[str]) -> Iterator[str]:
    """Files in the distribution's own folders that nobody recorded."""
    tops = {path.partition("/")[0] for path in recorded if "/" in path}
    # What is recorded as elsewhere begins with one of the first three.
    tops -= {"", ".", "..", "bin", "Scripts"}
    for top in sorted(top for top in tops if not top.endswith(".dist-info")):
        files = (file for file in sorted((root / top).rglob("*")) if file.is_file())
        paths = [
            file.relative_to(root).as_posix() for file in files if "__pycache__" not in file.parts
        ]
        found = [path for path in paths if path not in recorded]
        if found and f"{top}/__init__.py" not in recorded:
            # A namespace is the folder of several.
            others = _recorded_by_all(root)
            found = [path for path in found if path not in others]
        yield from found


def _recorded_by_all(root: Path) -> set[str]:
    return {path for dist in metadata.distributions(path=[str(root)]) for path, _ in _rows(dist)}


def _encode(digest: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()


def _decode(recorded: str) -> str:
    algorithm, _, text = recorded.partition("=")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return repr(recorded)
    known = algorithm in hashlib.algorithms_available
    return f"{algorithm} {raw.hex()}" if known else repr(recorded)


def require_pinned(names: Collection[str] | None, registry: Registry, *, where: str) -> None:
    """Refuses plugins whose files are not those that the registry pins.

    The host itself is no plugin of the registry, which comes with it.

    Args:
        names: Distributions; None for every plugin that is installed.
        registry: What is pinned.
        where: Who demands it, for the message.

    Raises:
        PluginError: Names each plugin, and why.
    """
    refused = []
    installed = plugin_distributions()
    for name, dist in installed.items():
        if name == HOST_DISTRIBUTION or (names is not None and name not in names):
            continue
        result = verify(dist, registry)
        if result.integrity is not Integrity.PINNED:
            why = [result.integrity.value] if result.entry else ["not in the registry"]
            why += list(result.details[:1]) if result.integrity in BAD else []
            refused.append(f"{name} {result.version} ({'; '.join(why)})")
    refused += [
        f"{name} (not found among what is installed)"
        for name in sorted(set(names or ()) - installed.keys() - {HOST_DISTRIBUTION})
    ]
    if refused:
        raise PluginError(
            "the suite demands pinned plugins, and these are not",
            where=where,
            found=", ".join(refused),
            expected="plugins whose files are those that the registry pins",
            next="see `bdbench plugins verify`; --no-plugin NAME leaves one out",
        )
