"""A filter on system calls: what neither a file view nor a network namespace takes away.

It closes what would lead round the walls: sockets of families that no namespace holds (the
channel from a virtual machine to its host is one), looking into other processes, entering
further namespaces, mounting, shared memory of the System V kind, and io_uring, whose
operations no filter sees.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

from bdbench.execution.sandbox.kernel import MACHINE, prctl

__all__ = ["restrict_calls"]

# name: (x86_64, aarch64), from the kernel's asm/unistd.h.
_NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clone": (56, 220),
    "clone3": (435, 435),
    "connect": (42, 203),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}

_SIGNALS = {
    "kill": (62, 129),
    "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "tgkill": (234, 131),
    "tkill": (200, 130),
}

_NOT_THERE = {"clone3", "io_uring_enter", "io_uring_register", "io_uring_setup"}
"""What programs do without where the kernel says that it has no such call."""

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""AUDIT_ARCH_*, and the column of `_NUMBERS`."""

_X32 = 0x40000000
"""Set in the numbers of x86_64's 32-bit-pointer calls, which would pass by another name."""

_NAMESPACES = 0x7E020000 | 0x80
"""CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET, TIME."""

_LOAD, _EQUAL, _SET, _AND, _RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
"""Offsets in struct seccomp_data; the low halves of the first two arguments."""

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

_Instruction = tuple[int, int, int, int]
"""Code, steps to jump if true, steps to jump if false, operand."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def restrict_calls(*, local_sockets: bool, signals: bool) -> None:
    """Takes the calls away, from this process and all that it starts, for good.

    Privileges must have been given up (no_new_privs) before.

    Args:
        local_sockets: Whether unix sockets may be made. Only where the file system in view
            holds no foreign one.
        signals: Whether signals may be sent. Only where they reach no foreign process; without,
            a component cannot stop what it started, either.

    Raises:
        OSError: If the kernel has no filters, or this machine's calls are not known here.
    """
    if MACHINE not in _ARCHITECTURES:
        raise OSError(f"seccomp: the system calls of {MACHINE} are not known here")
    instructions = _instructions(local_sockets=local_sockets, signals=signals)
    code = b"".join(struct.pack("=HBBI", *item) for item in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(instructions), ctypes.addressof(buffer))
    try:
        prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program))
    except OSError as error:
        raise OSError(error.errno, f"seccomp: {os.strerror(error.errno or 0)}") from error


def _instructions(*, local_sockets: bool, signals: bool) -> list[_Instruction]:
    architecture, column = _ARCHITECTURES[MACHINE]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        _refuse(errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        (_SET, 0, 1, _X32),
        _refuse(errno.ENOSYS),
    ]
    for name, numbers in (_NUMBERS if signals else _NUMBERS | _SIGNALS).items():
        body = _rule(name, local_sockets=local_sockets)
        # Each body ends by returning, so that the number is still loaded after those skipped.
        program += [(_EQUAL, 0, len(body), numbers[column]), *body]
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _rule(name: str, *, local_sockets: bool) -> list[_Instruction]:
    allow = (_RETURN, 0, 0, _ALLOW)
    no_socket = _refuse(errno.EACCES)
    if local_sockets:
        unix = [(_LOAD, 0, 0, _FIRST), (_EQUAL, 1, 0, socket.AF_UNIX), no_socket, allow]
        sockets = {"connect": [allow], "socket": unix, "socketpair": [allow]}
    else:
        # A pair of datagram sockets could send to any address, connected or not.
        kind = [(_LOAD, 0, 0, _SECOND), (_AND, 0, 0, 0xF), (_EQUAL, 1, 0, socket.SOCK_STREAM)]
        pair = [*kind, no_socket, allow]
        sockets = {"connect": [no_socket], "socket": [no_socket], "socketpair": pair}
    if name in sockets:
        return sockets[name]
    if name == "clone":
        return [(_LOAD, 0, 0, _FIRST), (_SET, 0, 1, _NAMESPACES), _refuse(errno.EPERM), allow]
    return [_refuse(errno.ENOSYS if name in _NOT_THERE else errno.EPERM)]


def _refuse(number: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)
