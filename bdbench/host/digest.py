"""Digests of code and of files, for identities."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from functools import cache
from pathlib import Path

from bdbench.api.errors import InputError, PluginError
from bdbench.host.files import is_compiled
from bdbench.host.plugins import Component

__all__ = ["code_digest", "content_digest", "package_digest"]

HOST_DISTRIBUTION = "bdbench"
REGISTRY = "registry.yaml"
"""What a wheel of the host has in its package."""
LEFT_BEHIND = ("~", ".bak", ".orig", ".rej", ".swp", ".tmp")
"""How files end that editors leave beside those that they change."""


def code_digest(component: Component) -> str:
    """The digest of the code behind a component: every file of its import package.

    Lists of words, templates and compiled modules decide results as Python files do. What Python
    compiles is left out, and what editors and systems leave behind.

    The same whether the plugin is installed as a wheel or as an editable checkout. Of the
    host's own package only the folder of its components counts: the stages that the host runs
    carry revisions of their own.

    Raises:
        PluginError: The package cannot be found.
    """
    module = component.spec.target.partition(":")[0]
    package = module.partition(".")[0]
    if component.distribution == HOST_DISTRIBUTION:
        package = ".".join(module.split(".")[:2])
    return package_digest(package, component.full_name)


@cache
def package_digest(package: str, full_name: str) -> str:
    """The digest of every file of an import package, without importing it.

    Args:
        package: Its name.
        full_name: Whose it is, for the message.

    Raises:
        PluginError: It cannot be found.
    """
    # Finding a top-level package's spec does not import it.
    spec = importlib.util.find_spec(package)
    if spec is None or not (spec.submodule_search_locations or spec.origin):
        raise PluginError(
            f"the package {package} cannot be found",
            where=full_name,
            next="reinstall the plugin",
        )
    if not spec.submodule_search_locations:
        return _tree_digest([(spec.name, Path(str(spec.origin)))])
    folder = Path(next(iter(spec.submodule_search_locations)))
    files = ((path.relative_to(folder), path) for path in folder.rglob("*") if path.is_file())
    if package == HOST_DISTRIBUTION:
        # A checkout has it beside the package.
        files = ((name, path) for name, path in files if name.as_posix() != REGISTRY)
    return _tree_digest(sorted((name.as_posix(), path) for name, path in files if _counts(name)))


def _counts(path: Path) -> bool:
    """Whether a file of a package is part of it, in a wheel as in a checkout."""
    left = is_compiled(path.name) or path.name.endswith(LEFT_BEHIND)
    return not left and not any(part == "__pycache__" or part[0] in ".#" for part in path.parts)


def _tree_digest(files: list[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\0{_file_digest(path)}\n".encode())
    return digest.hexdigest()


def content_digest(path: Path, *, where: str) -> str:
    """The digest of what a file, or every file below a folder, holds.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """
    try:
        if path.is_dir():
            files = sorted(
                (str(item.relative_to(path).as_posix()), item)
                for item in path.rglob("*")
                if item.is_file()
            )
            return _tree_digest(files)
        return _file_digest(path)
    except OSError as error:
        raise InputError(
            "cannot be read",
            where=f"{where}: {path}",
            found=error.strerror or str(error),
            expected="a readable file or folder",
            next="correct the path; relative ones start at the suite's folder, those of a preset "
            "at the current one",
        ) from None


def _file_digest(path: Path) -> str:
    status = path.stat()
    return _digest_of(os.fspath(path.absolute()), status.st_size, status.st_mtime_ns)


@cache
def _digest_of(path: str, _size: int, _mtime: int) -> str:
    """Within one process, a file of unchanged size and time is read once."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
