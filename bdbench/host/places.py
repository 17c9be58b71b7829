"""Where a wheel would write, and what it would be called by: only what is free, or its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sysconfig
from collections.abc import Iterator
from importlib import machinery, metadata
from pathlib import Path

from bdbench.api import hooks
from bdbench.api.errors import PluginError
from bdbench.host.installed import find_distribution, sources_of
from bdbench.host.wheels import Wheel

__all__ = ["check_places"]

RUN_ALWAYS = frozenset({"sitecustomize", "usercustomize"})
"""Modules that Python imports whenever it starts."""
COMMANDS = frozenset({"console_scripts", "gui_scripts"})
COMMAND = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_places(wheel: Wheel) -> None:
    """Refuses a wheel that would write where others are, or lead to what others brought.

    Raises:
        PluginError: Names what is not its own.
    """
    before = find_distribution(wheel.distribution)
    own = _own_files(before)
    tops = sorted({path.partition("/")[0] for path in wheel.paths})
    packages = {path.partition("/")[0] for path in wheel.paths if "/" in path}
    modules = {_module(top, is_folder=top in packages) for top in tops}
    taken = [
        top
        for top in tops
        if not (_is_part(top, modules) or _is_module(_module(top, is_folder=top in packages)))
        or _is_taken(top, _module(top, is_folder=top in packages), before, own)
    ]
    taken += [f"bin/{name}" for name in _taken_commands(wheel, own)]
    if taken:
        raise PluginError(
            "it would write where others are, and was not installed",
            where=wheel.distribution,
            found=", ".join(taken),
            expected="a package and commands of its own, with names that are free",
            next="tell its authors",
        )
    # What Python would import under such a name may be anybody's.
    points = [point for point in wheel.points if point[0] == hooks.ENTRY_POINT_GROUP]
    foreign = [f"{name} = {value}" for _, name, value in points if _top_of(value) not in modules]
    if foreign:
        raise PluginError(
            "its entry points name what is not its own, and it was not installed",
            where=wheel.distribution,
            found=", ".join(foreign),
            expected=f"modules of {', '.join(sorted(modules)) or 'its own'}",
            next="tell its authors",
        )


def _module(top: str, *, is_folder: bool) -> str:
    """What Python would import from a file or folder beside others."""
    if is_folder:
        return top
    suffixes = sorted(machinery.all_suffixes(), key=len, reverse=True)
    return next((top.removesuffix(end) for end in suffixes if top.endswith(end)), "")


def _is_module(name: str) -> bool:
    # Names such as __main__ and __pycache__ are Python's own.
    return name.isidentifier() and not name.startswith("__") and name.casefold() not in RUN_ALWAYS


def _is_part(top: str, modules: set[str]) -> bool:
    """Whether a folder holds the libraries that compiled modules of the wheel were linked with."""
    return top.endswith(".libs") and top.removesuffix(".libs") in modules


def _is_taken(top: str, module: str, before: metadata.Distribution | None, own: set[Path]) -> bool:
    folders = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    for folder in folders:
        here = [path for path in folder.glob("*") if path.name.casefold() == top.casefold()]
        if any(not _is_own(path, own) for path in here):
            return True
    if not module.isidentifier():
        return False
    # What cannot be looked for is nobody's to take.
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return True
    if spec is None:
        return False
    places = [*([spec.origin] if spec.origin else []), *(spec.submodule_search_locations or ())]
    # A checkout of its own, installed before, may give way to the wheel.
    sources = sources_of(before) if before else None
    found = [Path(place).resolve() for place in places]
    return not found or any(
        not (_is_own(path, own) or (sources and path.is_relative_to(sources.resolve())))
        for path in found
    )


def _own_files(before: metadata.Distribution | None) -> set[Path]:
    """What an installed version has recorded as its own."""
    files = (before.files or ()) if before else ()
    return {Path(str(path.locate())).resolve() for path in files}


def _is_own(path: Path, own: set[Path]) -> bool:
    path = path.resolve()
    first = path / "__init__.py"
    # A folder is whose it is to say what is imported by its name.
    return (first if first.is_file() else path) in own or (
        not first.is_file() and any(file.is_relative_to(path) for file in own)
    )


def _taken_commands(wheel: Wheel, own: set[Path]) -> Iterator[str]:
    folder = Path(sysconfig.get_path("scripts"))
    for group, name, _ in wheel.points:
        if group not in COMMANDS:
            continue
        if not COMMAND.fullmatch(name):
            yield name
            continue
        # A command may not hide one that lies elsewhere, either.
        files = [folder / f"{name}{end}" for end in ("", ".exe", "-script.py")]
        files += [Path(found)] if (found := shutil.which(name)) else []
        if any(os.path.lexists(path) and path.resolve() not in own for path in files):
            yield name


def _top_of(value: str) -> str:
    """The package that an entry point leads into."""
    return re.split(r"[.:\[\s]", value.strip(), maxsplit=1)[0]
