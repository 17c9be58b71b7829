"""The fallback where namespaces are refused: the kernel opens only what is on a list.

Weaker than a view of its own: a path outside can still be asked for its size and times
(`os.stat`) by who knows it, shared memory in /dev/shm is out of reach altogether (so are
`multiprocessing`'s locks and queues), the host's list of mounts can be read, and a Python that
the worker starts cannot import what is installed as editable.
"""

from __future__ import annotations

import ctypes
import os
import stat
from importlib.machinery import PathFinder
from pathlib import Path

from bdbench.execution.sandbox.jail import Jail
from bdbench.execution.sandbox.kernel import syscall

__all__ = ["landlock_version", "restrict_files", "scopes_signals"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _RULE_PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights over files each version knows; later ones as many as the last."""
_NET = 0b11
"""Binding and connecting TCP, from version 4."""
_SCOPED = 0b11
"""Abstract unix sockets and signals."""
SCOPES = 6
"""The version from which on these can be kept within."""

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL_DEV
_NODES = ("null", "zero", "full", "random", "urandom")
_PROC = ("self", "cpuinfo", "filesystems", "meminfo", "stat", "sys", "version", "driver")


def landlock_version() -> int:
    """The version of the interface that the kernel has.

    Raises:
        OSError: It has none, or it is switched off.
    """
    return syscall("landlock_create_ruleset", _CREATE_RULESET, ctypes.c_void_p(), 0, _VERSION_FLAG)


def scopes_signals() -> bool:
    """Whether the kernel keeps signals within what was restricted: from Linux 6.12 on."""
    return landlock_version() >= SCOPES


def restrict_files(jail: Jail) -> None:
    """Restricts this process, and all that it starts, to what the jail shows, for good.

    Privileges must have been given up (no_new_privs) before.

    One descriptor is left open, of the process's own folder in /proc.

    Raises:
        OSError: The kernel refuses.
    """
    # An import lists the folders of sys.path, and not all of them may be listed from here on;
    # what a finder listed once, it remembers.
    PathFinder.find_spec("bdbench_asks_every_finder")
    # A rule holds for one inode, and the kernel makes a new one for /proc/PID when it needed the
    # memory of the old: this descriptor stays open, so that it keeps it.
    os.open("/proc/self", os.O_PATH | os.O_CLOEXEC)
    version = landlock_version()
    handled = (1 << _RIGHTS[min(version, max(_RIGHTS))]) - 1
    attributes = (ctypes.c_uint64 * 3)(handled, _NET, _SCOPED)
    size = 24 if version >= SCOPES else 16 if version >= 4 else 8
    rules = syscall("landlock_create_ruleset", _CREATE_RULESET, attributes, size, 0)
    try:
        for path, rights in _grants(jail):
            _allow(rules, path, rights & handled)
        syscall("landlock_restrict_self", _RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _grants(jail: Jail) -> list[tuple[Path, int]]:
    grants = [(path, _READ) for path in (*jail.view().pieces(), jail.folder / "in")]
    grants += [(jail.folder, _READ_DIR)]
    grants += [(jail.folder / name, -1) for name in ("out", "tmp")]
    grants += [(path, _DEVICE) for path in jail.device_files()]
    grants += [(Path("/dev") / name, _DEVICE) for name in _NODES]
    return grants + [(Path("/proc") / name, _READ_FILE | _READ_DIR) for name in _PROC]


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        # Such as /proc/driver: not every machine has it.
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        # A packed structure: 64 bits of rights, 32 of descriptor.
        rule = ctypes.create_string_buffer(
            rights.to_bytes(8, "little") + descriptor.to_bytes(4, "little"), 12
        )
        syscall("landlock_add_rule", _ADD_RULE, rules, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
