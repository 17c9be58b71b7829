"""The inner side: what a forked child does to itself before, and after, it runs the call."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from bdbench.execution.sandbox.environment import apply_limits, forget, keep_only
from bdbench.execution.sandbox.jail import Jail
from bdbench.execution.sandbox.kernel import what_failed
from bdbench.execution.sandbox.kinds import Isolation
from bdbench.execution.sandbox.landlock import restrict_files, scopes_signals
from bdbench.execution.sandbox.limits import Limits
from bdbench.execution.sandbox.namespaces import (
    die_with_parent,
    drop_privileges,
    enter_inner,
    forbid_privileges,
    set_readable,
)
from bdbench.execution.sandbox.root import enter_root
from bdbench.execution.sandbox.seccomp import restrict_calls

__all__ = ["ENDED", "FAILED", "Call", "run_inner"]

Call = Callable[[Path], object]
"""Given the box: the folder that holds in/, out/ and tmp/."""

FAILED, ENDED = b"failed ", b"ended "
"""How the lines begin that the inner side writes to the outer: why it could not be confined;
the wait status of the worker, where that is not the child itself."""


def run_inner(
    kind: Isolation, jail: Jail, call: Call, limits: Limits, kept: Iterable[int], report: int
) -> NoReturn:
    """Confines this process, runs the call and ends.

    Args:
        kind: NAMESPACE, LANDLOCK or PROCESS.
        jail: What the call may see.
        call: What to run.
        limits: What the kernel can enforce of them is.
        kept: Descriptors that stay open.
        report: Where lines for the outer side go; closed before the call runs.
    """
    try:
        die_with_parent(signal.SIGKILL)
        # Breaks if the parent ended before it was tied to this process.
        os.write(report, b"\n")
        log = os.open(jail.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        keep_only({*kept, report}, log)
        _default_signals()
        apply_limits(limits)
        box = jail.box(kind)
        # Before the fork: anybody may read the arguments of the first process.
        forget(box / "tmp")
        if kind is Isolation.NAMESPACE:
            _become_first(jail, limits, kept, report)
        elif kind is Isolation.LANDLOCK:
            drop_privileges()
            restrict_files(jail)
        else:
            forbid_privileges()
        os.chdir(box)
        os.setsid()
        if kind is not Isolation.PROCESS:
            apart = kind is Isolation.NAMESPACE
            restrict_calls(local_sockets=apart, signals=apart or scopes_signals())
        os.close(report)
    except BaseException as error:  # noqa: BLE001 -- told to the outer side, which raises it
        os.write(report, FAILED + what_failed(error).encode("utf-8", "replace") + b"\n")
        os._exit(1)
    _run(call, box)


def _become_first(jail: Jail, limits: Limits, kept: Iterable[int], report: int) -> None:
    """Goes into the namespaces and forks; returns in the child only.

    This process stays as the first of its PID namespace: it takes in the orphans, and once the
    worker has ended or a ``SIGTERM`` came, it ends all others. It waits for each of them, so
    that what they used counts.
    """
    enter_inner()
    enter_root(jail, limits.memory_mib)
    drop_privileges()
    # The worker cannot open the descriptors of the first process, `report` among them.
    set_readable(by_peers=False)
    signal.signal(signal.SIGTERM, _end_others)
    worker = os.fork()
    if worker == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        set_readable(by_peers=True)
        return
    for descriptor in (0, 1, 2, *kept):
        os.close(descriptor)
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            os._exit(0)
        if pid == worker:
            os.write(report, ENDED + str(status).encode() + b"\n")
            _end_others()


def _end_others(*_: object) -> None:
    """Kills all in the namespace besides its first process, in one go: none can fork away."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def _default_signals() -> None:
    """What the warm parent and the outer side set is not for the call."""
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _run(call: Call, box: Path) -> NoReturn:
    code = 1
    try:
        # Those of the processes above may lead to descriptors that lead nowhere by now.
        sys.stdout, sys.stderr = (
            os.fdopen(number, "w", 1, "utf-8", "backslashreplace", closefd=False)
            for number in (1, 2)
        )
        try:
            call(box)
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:  # noqa: BLE001 -- the process ends here; the log keeps it
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # Taking torch apart in order would take longer than many calls do.
        os._exit(code & 0xFF)
