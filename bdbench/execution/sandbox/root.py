"""A root file system that holds only what a worker may see."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bdbench.execution.sandbox.jail import Jail
from bdbench.execution.sandbox.kernel import libc, syscall
from bdbench.execution.sandbox.visible import View

__all__ = ["enter_root"]

_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_REMOUNT, _BIND, _REC, _PRIVATE = 32, 4096, 16384, 1 << 18
_DETACH = 2
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_OPTIONS = {b"ro": _RDONLY, b"nosuid": _NOSUID, b"nodev": _NODEV, b"noexec": _NOEXEC}
_OPTIONS |= {b"noatime": 1024, b"nodiratime": 2048, b"relatime": 1 << 21}
_ESCAPED = re.compile(rb"\\([0-7]{3})")

_OLD = Path("/.old")
_NODES = ("null", "zero", "full", "random", "urandom")
_STANDARD = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1"}
_STANDARD |= {"stderr": "/proc/self/fd/2"}


def enter_root(jail: Jail, shared_mib: int | None) -> None:
    """Makes the new root and leaves the old one for good; the process then stands in the box.

    The process must be the first of a PID namespace, in a mount namespace of its own, with all
    capabilities over both.

    Args:
        jail: What to show.
        shared_mib: The size of /dev/shm; None for the kernel's choice.

    Raises:
        OSError: The kernel refuses a step.
    """
    seen = jail.view()
    folder = jail.folder.resolve()
    devices = [Path("/dev") / name for name in _NODES] + list(jail.device_files())

    # Nothing that is mounted from here on is seen outside.
    libc("mount", None, b"/", None, _REC | _PRIVATE, None)
    _mount("tmpfs", folder, _NOSUID | _NODEV, "mode=755,size=1m")
    (folder / _OLD.name).mkdir()
    libc("pivot_root", os.fsencode(folder), os.fsencode(folder / _OLD.name))
    os.chdir("/")

    masks = _show(seen)
    _make_links(seen.links)
    _make_box(folder)
    _make_dev(devices, shared_mib)
    # While the old one is still there: the kernel allows a new /proc only beside a whole one.
    _make_proc()

    libc("umount2", os.fsencode(_OLD), _DETACH)
    _OLD.rmdir()
    for mask in [*masks, Path("/proc"), Path("/")]:
        _remount(mask, _RDONLY | _NOSUID | _NODEV)
    os.chdir("/box")


def _show(seen: View) -> list[Path]:
    """Binds and masks, from the root down; returns the masks, still writable."""
    masks: list[Path] = []
    for path in sorted({*seen.shown, *seen.hidden}, key=lambda item: len(item.parts)):
        if path in seen.shown:
            _bind(path)
            _set_attributes(path, _RDONLY | _NOSUID | _NODEV)
        elif path.exists():
            _mask(path)
            masks.append(path)
    return masks


def _mask(path: Path) -> None:
    if path.is_dir():
        _mount("tmpfs", path, _NOSUID | _NODEV | _NOEXEC, "mode=755,size=64k")
    else:
        libc("mount", os.fsencode(_OLD / "dev/null"), os.fsencode(path), None, _BIND, None)


def _make_links(links: Mapping[Path, Path]) -> None:
    for name in sorted(links, key=lambda item: len(item.parts)):
        if not os.path.lexists(name):
            name.parent.mkdir(parents=True, exist_ok=True)
            name.symlink_to(links[name])


def _make_box(folder: Path) -> None:
    flags = _NOSUID | _NODEV
    for name, extra in (("in", _RDONLY), ("out", 0), ("tmp", 0)):
        _bind(Path("/box") / name, folder / name)
        _set_attributes(Path("/box") / name, flags | extra)
    if not os.path.lexists("/tmp"):  # noqa: S108 -- for programs that know no TMPDIR
        Path("/tmp").symlink_to("/box/tmp")  # noqa: S108


def _make_dev(devices: Iterable[Path], shared_mib: int | None) -> None:
    for path in devices:
        _bind(path)
    for name, target in _STANDARD.items():
        Path("/dev", name).symlink_to(target)
    shared = Path("/dev/shm")  # noqa: S108
    shared.mkdir()
    size = "" if shared_mib is None else f",size={shared_mib}m"
    _mount("tmpfs", shared, _NOSUID | _NODEV, f"mode=1777{size}")


def _make_proc() -> None:
    Path("/proc").mkdir()
    _mount("proc", Path("/proc"), _NOSUID | _NODEV | _NOEXEC, "")
    # No further user namespace can be made in this one; raising it again takes a capability.
    Path("/proc/sys/user/max_user_namespaces").write_text("0", "ascii")


def _bind(target: Path, source: Path | None = None) -> None:
    """Shows `source`, a path of the old root, at `target`, itself by default."""
    origin = _OLD / (source or target).relative_to("/")
    if not target.exists():
        if origin.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    libc("mount", os.fsencode(origin), os.fsencode(target), None, _BIND | _REC, None)


def _mount(kind: str, target: Path, flags: int, options: str) -> None:
    name = kind.encode()
    libc("mount", name, os.fsencode(target), name, flags, options.encode())


def _remount(target: Path, flags: int) -> None:
    libc("mount", None, os.fsencode(target), None, _REMOUNT | _BIND | flags, None)


def _set_attributes(target: Path, flags: int) -> None:
    """Adds flags to a mount and to all mounts below it."""
    # Read-only, nosuid and nodev have the same bits here as in mount(2).
    wanted = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    size = ctypes.sizeof(wanted)
    path = ctypes.c_char_p(os.fsencode(target))
    try:
        syscall("mount_setattr", _MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, wanted, size)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        _remount_each(target, flags)


def _remount_each(target: Path, flags: int) -> None:
    """The same for kernels before 5.12, which know flags of one mount only, and all at once."""
    # Ours is not mounted yet. The old one tells mounts as they are seen from this root.
    for line in (_OLD / "proc/self/mountinfo").read_bytes().splitlines():
        fields = line.split()
        point = Path(os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), fields[4])))
        if point.is_relative_to(target):
            present = sum(_OPTIONS.get(name, 0) for name in fields[5].split(b","))
            _remount(point, present | flags)
