"""The system calls of Linux that Python has no function for."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["MACHINE", "libc", "prctl", "scrub_launch_memory", "syscall", "what_failed"]

MACHINE = platform.machine()
"""``x86_64``, ``aarch64``, ...; system calls are numbered differently on each."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def libc(name: str, *arguments: Any) -> int:
    """Calls a function of the C library that returns -1 on failure.

    Raises:
        OSError: With the name of the function, if it failed.
    """
    function = getattr(_LIBC, name, None)
    if function is None:
        raise OSError(f"{name}: not in this C library")
    ctypes.set_errno(0)
    result = int(function(*arguments))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def syscall(name: str, number: int, *arguments: Any) -> int:
    """Calls the kernel by number; the arguments are integers or ctypes objects.

    Raises:
        OSError: With `name`, if it failed.
    """
    # The function is variadic: a plain int would be passed as 32 bits.
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    try:
        return libc("syscall", ctypes.c_long(number), *wide)
    except OSError as error:
        raise OSError(error.errno, f"{name}: {os.strerror(error.errno or 0)}") from error


def what_failed(error: BaseException) -> str:
    """One line without the number of the error."""
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(text.split())


def prctl(option: int, *values: Any) -> int:
    """Sets one property of this process; the values are integers or ctypes objects.

    Raises:
        OSError: If the kernel does not know it or refuses.
    """
    wide = [ctypes.c_ulong(item) if isinstance(item, int) else item for item in values]
    # The kernel checks that what an option does not use is zero.
    wide += [ctypes.c_ulong(0)] * (4 - len(wide))
    return libc("prctl", ctypes.c_int(option), *wide)


def scrub_launch_memory() -> None:
    """Overwrites the arguments and the environment that this process was launched with.

    ``/proc/self/environ`` and ``/proc/self/cmdline`` show that memory, whatever `os.environ`
    and `sys.argv` say by now, and a fork inherits it. `os.environ` must hold nothing any more:
    its C twin points there.
    """
    # The name of the program, the second field, may hold blanks and brackets.
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    # proc(5): fields 48 to 51; the first of `fields` is the third.
    for start, end in ((fields[45], fields[46]), (fields[47], fields[48])):
        if int(end) > int(start):
            ctypes.memset(int(start), 0, int(end) - int(start))
