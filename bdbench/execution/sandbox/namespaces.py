"""Namespaces and privileges: entering the ones, giving up the others."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from pathlib import Path

from bdbench.execution.sandbox.kernel import libc, prctl

__all__ = [
    "adopt_orphans",
    "die_with_parent",
    "drop_privileges",
    "enter_inner",
    "enter_outer",
    "forbid_privileges",
    "set_readable",
]

_NEWNS, _NEWUTS, _NEWIPC = 0x00020000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = 64


def enter_outer() -> None:
    """Into a new user namespace; the next fork begins a new PID namespace.

    The process must have one thread. It keeps its user and group, and sees what it saw.

    Raises:
        OSError: The kernel refuses.
    """
    user, group = os.geteuid(), os.getegid()
    libc("unshare", _NEWUSER | _NEWPID)
    own = Path("/proc/self")
    # Without this an ordinary user may not map a group.
    (own / "setgroups").write_text("deny", "ascii")
    (own / "uid_map").write_text(f"{user} {user} 1", "ascii")
    (own / "gid_map").write_text(f"{group} {group} 1", "ascii")


def enter_inner() -> None:
    """Into new mount, network, IPC and UTS namespaces, owned by the user namespace.

    The network has one interface, loopback, which is down.

    Raises:
        OSError: The kernel refuses.
    """
    libc("unshare", _NEWNS | _NEWUTS | _NEWIPC | _NEWNET)
    socket.sethostname("box")


def drop_privileges() -> None:
    """Gives up all capabilities, those that starting a program would bring back included.

    Raises:
        OSError: The kernel refuses.
    """
    forbid_privileges()
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(_CAPABILITIES):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            # EINVAL: past the last. EPERM: an ordinary user's process, which has none to drop;
            # no_new_privs keeps it from gaining any.
            if error.errno not in {errno.EINVAL, errno.EPERM}:
                raise
            break
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    libc("capset", header, (ctypes.c_uint32 * 6)())


def forbid_privileges() -> None:
    """No program that is started from here on gains any, by its owner or by its file."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_readable(*, by_peers: bool) -> None:
    """Whether processes of the same user may look into this one: its memory, files, environment."""
    prctl(_PR_SET_DUMPABLE, int(by_peers))


def adopt_orphans() -> None:
    """Makes this process the parent of descendants whose own parents end."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: int) -> None:
    """Sends this process a signal when its parent ends."""
    prctl(_PR_SET_PDEATHSIG, number)
