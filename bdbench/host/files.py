"""One digest over what a wheel installs, which can be computed again from what is installed.

A wheel's own digest covers how it was zipped and by which version of a build tool; once the wheel
is installed, neither can be seen. Python imports the files and what the entry points name: these
count, and they are the same in a wheel, in an environment, and in the sources of a pure package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

__all__ = ["files_digest", "is_compiled", "is_metadata", "sha256_of"]


def files_digest(files: Mapping[str, str], entry_points: Iterable[tuple[str, str, str]]) -> str:
    """The digest of a package's files and entry points.

    Args:
        files: SHA-256 (hex) of each file by its path in the environment, with ``/``.
        entry_points: Group, name and value of each.

    Returns:
        SHA-256 (hex) over sorted lines.
    """
    lines = [f"file\0{path}\0{digest}\n" for path, digest in files.items()]
    lines += [f"entry point\0{group}\0{name}\0{value}\n" for group, name, value in entry_points]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def is_metadata(path: str, distribution: str) -> bool:
    """Whether a path in a wheel or an environment only describes the distribution.

    What would describe another one counts like code: Python believes it.

    Args:
        path: With ``/``.
        distribution: Its normalised name.
    """
    top, _, rest = path.partition("/")
    name = top.removesuffix(".dist-info").partition("-")[0]
    return bool(rest) and top.endswith(".dist-info") and canonicalize_name(name) == distribution


def is_compiled(path: str) -> bool:
    """Whether a path is that of compiled code, which nobody can read."""
    return path.casefold().endswith((".pyc", ".pyo"))


def sha256_of(path: Path) -> str:
    """The SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
