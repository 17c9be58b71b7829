"""What a worker must see to run Python: the installation, and nothing that lies beside it."""

from __future__ import annotations

import functools
import glob
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["View", "devices", "installation", "view"]

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "alternatives",
    "group",
    "ld.so.cache",
    "localtime",
    "nsswitch.conf",
    "passwd",
    "timezone",
)
_OF_PREFIX = (
    "bin",
    "conda-meta",
    "etc",
    "include",
    "lib",
    "lib32",
    "lib64",
    "libexec",
    "nvvm",
    "pyvenv.cfg",
    "share",
    "ssl",
    "targets",
)
"""Not the prefix as a whole: an environment may have been made in the folder of a project."""
_HARDWARE = ("/sys/devices/system/cpu", "/sys/devices/system/node")
_GPU_HARDWARE = ("/sys/bus/pci", "/sys/devices", "/sys/module/nvidia", "/etc/OpenCL")
_GPU = ("/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/kfd", "/dev/dri/*", "/dev/dxg")
_SITE = {"site-packages", "dist-packages"}


def devices() -> tuple[Path, ...]:
    """The accelerators of this machine."""
    found = (Path(name) for pattern in _GPU for name in sorted(glob.glob(pattern)))  # noqa: PTH207
    return tuple(path for path in found if not path.is_dir())


def installation() -> tuple[Path, ...]:
    """The system's libraries and programs, Python and its packages; existing paths.

    Of folders on `sys.path` outside the installation, as editable installs put there, only the
    packages, modules and metadata. Computed once for each `sys.path`: a warm parent that calls
    this saves its workers the time.
    """
    finders = {getattr(finder, "__module__", "") for finder in sys.meta_path}
    named = [
        path
        for name in sorted(filter(None, finders))
        for path in getattr(sys.modules.get(name), "MAPPING", {}).values()
    ]
    return _installation(tuple(sys.path), tuple(map(str, named)))


@functools.cache
def _installation(search_path: tuple[str, ...], named: tuple[str, ...]) -> tuple[Path, ...]:
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    found = [*map(Path, _SYSTEM), *(Path("/etc") / name for name in _ETC)]
    found += [Path(prefix) / name for prefix in sorted(prefixes) for name in _OF_PREFIX]
    found += map(Path, _HARDWARE)
    if devices():
        found += map(Path, _GPU_HARDWARE)
    if sys.prefix.startswith("/nix/"):
        found.append(Path("/nix/store"))
    found += _library_folders()
    whole = [_real(path) for path in found]
    for name in search_path:
        folder = Path(name)
        if not folder.is_absolute() or not folder.exists():
            continue
        if folder.is_file() or folder.name in _SITE:
            found.append(folder)
        elif not any(_real(folder).is_relative_to(path) for path in whole):
            found += _packages(folder)
    # What setuptools' finders for editable installs name: a package's folder, or a module.
    found += [Path(name) for name in named]
    present = tuple(dict.fromkeys(path for path in found if path.exists()))
    for path in present:
        _real(path)
    return present


@functools.cache
def _real(path: Path) -> Path:
    """Resolved; remembered, so that a worker finds it done by the warm parent."""
    return path.resolve()


def _library_folders() -> Iterator[Path]:
    """Where the loader was told to look, as on clusters with modules."""
    for name in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        folder = Path(name)
        if folder.is_absolute() and any(folder.glob("lib*.so*")):
            yield folder


def _packages(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.suffix in {".dist-info", ".egg-info"} or (path / "__init__.py").exists():
                yield path
        elif path.suffix in {".py", ".so"}:
            yield path


@dataclass(frozen=True, slots=True)
class View:
    """Files and folders to show and to hide; all paths are real, and of two the deeper decides.

    Attributes:
        shown: What can be seen, with all below.
        hidden: What cannot, with all below.
        links: Other names that lead to what is shown, with symbolic links resolved.
    """

    shown: tuple[Path, ...]
    hidden: tuple[Path, ...]
    links: Mapping[Path, Path]

    def pieces(self) -> Iterator[Path]:
        """What is shown now, as paths with nothing hidden below them."""
        for path in self.shown:
            yield from _pieces(path, [item for item in self.hidden if item.is_relative_to(path)])


def view(readable: Iterable[Path], masked: Iterable[Path]) -> View:
    """Puts the two lists together; what is in both is hidden."""
    hidden = dict.fromkeys(map(_real, masked))
    shown: dict[Path, None] = {}
    links: dict[Path, Path] = {}
    for path in readable:
        real = _real(path)
        if real not in hidden:
            shown[real] = None
            if real != path:
                links[path] = real
    # What an ancestor shows already needs no showing, unless something between hides it.
    needed = [path for path in shown if _nearest(path, shown, hidden) not in shown]
    return View(tuple(sorted(needed, key=_depth)), tuple(sorted(hidden, key=_depth)), links)


def _nearest(path: Path, *groups: Mapping[Path, None]) -> Path | None:
    return next((item for item in path.parents if any(item in group for group in groups)), None)


def _depth(path: Path) -> int:
    return len(path.parts)


def _pieces(path: Path, hidden: Sequence[Path]) -> Iterator[Path]:
    if not hidden:
        yield path
    elif path not in hidden:
        for child in sorted(path.iterdir()):
            if not child.is_symlink():
                below = [item for item in hidden if item.is_relative_to(child)]
                yield from _pieces(child, below)
