"""What a worker inherits: an environment by allow-list, named descriptors, nothing of its parents.

The warm parent that workers are forked from should itself have been started with a clean
environment (`clean_environment` of `os.environ`, so that what libraries read once at their
import, such as HF_HUB_OFFLINE, is read right), ``PYTHONSAFEPATH=1`` and arguments that tell
nothing. What it was launched with is overwritten in the worker all the same. What can not be
undone here: whatever a process was told before it called `run_confined` (arguments, unpickled
objects, locals of the frames above the call) is in its memory and in the worker's.
"""

from __future__ import annotations

import os
import resource
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from multiprocessing import forkserver, process, resource_tracker
from pathlib import Path
from typing import Any

from bdbench.api.errors import InputError
from bdbench.execution.sandbox.kernel import scrub_launch_memory
from bdbench.execution.sandbox.limits import Limits

__all__ = ["apply_limits", "check_descriptors", "clean_environment", "forget", "keep_only"]

_ALLOWED = {
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PATH",
    "PYTHONHASHSEED",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TOKENIZERS_PARALLELISM",
    "TZ",
}
_SET = {
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "USER": "bdbench",
}


def clean_environment(
    environment: Mapping[str, str], scratch: Path | None = None
) -> dict[str, str]:
    """The part of an environment that tells nothing, and what keeps libraries off the network.

    Args:
        environment: Whole.
        scratch: A writable folder, for HOME and TMPDIR.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _ALLOWED or name.startswith("LC_")
    }
    kept |= _SET
    if scratch is not None:
        kept |= dict.fromkeys(("HOME", "TMPDIR"), str(scratch))
    return kept


def check_descriptors(kept: Iterable[int]) -> None:
    """Refuses what would be a way out.

    Raises:
        InputError: If one is closed, or is a folder: everything beside it could be opened.
    """
    for descriptor in kept:
        try:
            folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            found = "a folder"
        except OSError as error:
            folder, found = True, error.strerror or str(error)
        if folder:
            raise InputError(
                "a descriptor cannot be handed to a worker",
                where=f"descriptor {descriptor}",
                found=found,
                expected="an open pipe, socket or file",
                next="hand over what the worker needs as a file in its folder in/",
            )


def keep_only(kept: Iterable[int], log: int | None) -> None:
    """Turns all descriptors but those into /dev/null; input too, and output without a log.

    They are not closed: a library that opened one would close it again, or whatever has its
    number by then (Arrow does so in each fork, and aborts if it is closed already).

    Args:
        kept: Numbers above 2.
        log: Becomes standard output and error.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(nowhere if log is None else log, number)
    os.dup2(nowhere, 0)
    for number in set(_open_descriptors()).difference((0, 1, 2, nowhere), kept):
        os.dup2(nowhere, number, inheritable=False)


def _open_descriptors() -> list[int]:
    with os.scandir("/proc/self/fd") as entries:
        return [int(entry.name) for entry in entries]


def forget(scratch: Path) -> None:
    """Replaces the environment, and drops what Python remembers of the processes above.

    Args:
        scratch: Becomes HOME and TMPDIR.
    """
    kept = clean_environment(os.environ, scratch)
    os.environ.clear()
    scrub_launch_memory()
    os.environ.update(kept)
    sys.argv[:] = [""]
    sys.orig_argv[:] = []
    tempfile.tempdir = None
    time.tzset()
    _forget_multiprocessing()


def _forget_multiprocessing() -> None:
    """The parent's folder, secret and servers; their descriptors lead nowhere by now."""
    # Names that the types do not tell of: there is no public way.
    current: Any = process.current_process()
    current._config = {"semprefix": "/mp"}  # noqa: SLF001
    current.authkey = os.urandom(32)
    current._name = "worker"  # noqa: SLF001
    current._parent_pid = None  # noqa: SLF001
    current._parent_name = None  # noqa: SLF001
    current._inheriting = False  # noqa: SLF001
    for name in ("_target", "_args", "_kwargs"):
        if hasattr(current, name):
            setattr(current, name, None)
    vars(process)["_children"] = set()
    vars(process)["_parent_process"] = None
    vars(process)["ORIGINAL_DIR"] = None
    vars(vars(forkserver)["_forkserver"]).update(vars(forkserver.ForkServer()))
    vars(vars(resource_tracker)["_resource_tracker"]).update(
        vars(resource_tracker.ResourceTracker())
    )


def apply_limits(limits: Limits) -> None:
    """The limits that the kernel enforces in the worker itself; time and memory are watched."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.file_mib is not None:
        size = limits.file_mib * 2**20
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        # Python ignores the signal, which makes a failed write of it that anybody may catch.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
