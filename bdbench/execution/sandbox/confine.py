"""The outer side: runs a call in a worker that sees only its jail, and says how it ended."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from math import inf

from bdbench.api.errors import InputError
from bdbench.execution.sandbox.environment import check_descriptors
from bdbench.execution.sandbox.jail import Jail
from bdbench.execution.sandbox.kernel import what_failed
from bdbench.execution.sandbox.kinds import Isolation
from bdbench.execution.sandbox.limits import Ending, Limits, Reason, Watch, kill_descendants
from bdbench.execution.sandbox.namespaces import adopt_orphans, die_with_parent, enter_outer
from bdbench.execution.sandbox.worker import ENDED, FAILED, Call, run_inner

__all__ = ["run_confined"]

PERIOD = 0.05
"""Seconds between two looks at the limits."""

GRACE = 5.0
"""Seconds that the first process of a namespace has to end all others in it."""


def run_confined(
    kind: Isolation,
    jail: Jail,
    call: Call,
    limits: Limits,
    *,
    keep: Sequence[int] = (),
    lifeline: int | None = None,
) -> Ending:
    """Runs a call apart, waits for it, and leaves none of its processes behind.

    To be called in a process that was forked for it, has one thread and will end soon after:
    it becomes the leader of a session and, for NAMESPACE, of a user namespace; it does not get
    out of these. Only the call is confined. A ``SIGTERM`` to this process stops the call, and
    so does the end of this process, of its parent, or of the other end of the lifeline.

    The call's process knows all that this process knows: what lies in its memory when this
    function is called, locals of callers included, is not hidden by any kind.

    What comes back from the call through a kept descriptor or a file is not to be trusted, and
    never to be unpickled (``Connection.recv`` does that; ``recv_bytes`` and JSON do not).

    Args:
        kind: How. With NONE the call runs right here and its exceptions come through.
        jail: What the call may see. Its folders exist.
        call: Given the box, the folder with ``in/``, ``out/`` and ``tmp/``, which is also the
            current folder. What it returns is dropped; what it raises goes to the log and makes
            the exit code 1.
        limits: What it may use.
        keep: Descriptors that stay open in it: pipes, sockets or files.
        lifeline: A pipe or socket whose other end only the process that it works for holds.

    Raises:
        InputError: What it is given is not there, or the process could not be confined.
    """
    jail.check()
    if kind is Isolation.NONE:
        watch = Watch(os.getpid(), Limits())
        call(jail.folder)
        return Ending(Reason.DONE, 0, watch.seconds, 0.0, None)
    check_descriptors(keep)
    awaited = {signal.SIGCHLD, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        return _Keeper(kind, limits, lifeline, awaited).run(jail, call, keep)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Keeper:
    """Waits for one child and everything below it."""

    def __init__(
        self,
        kind: Isolation,
        limits: Limits,
        lifeline: int | None,
        awaited: Iterable[signal.Signals],
    ) -> None:
        self.kind = kind
        self.limits = limits
        self.awaited = list(awaited)
        self.reason: Reason | None = None
        self.status: int | None = None
        self.cpu_seconds = 0.0
        self.given_up_at = inf
        self.hangup = select.poll()
        if lifeline is not None:
            # Not for what it sends: that is the worker's, if anybody's.
            self.hangup.register(lifeline, select.POLLRDHUP)

    def run(self, jail: Jail, call: Call, keep: Sequence[int]) -> Ending:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if os.getsid(0) != os.getpid():
            os.setsid()
        die_with_parent(signal.SIGTERM)
        adopt_orphans()
        if self.kind is Isolation.NAMESPACE:
            try:
                enter_outer()
            except OSError as error:
                raise _refused(self.kind, what_failed(error)) from error
        # Otherwise what they hold would be written twice.
        sys.stdout.flush()
        sys.stderr.flush()
        theirs, ours = os.pipe()
        child = os.fork()
        if child == 0:
            run_inner(self.kind, jail, call, self.limits, keep, ours)
        os.close(ours)
        try:
            return self._wait(child, theirs)
        finally:
            os.close(theirs)

    def _wait(self, child: int, report: int) -> Ending:
        first = self.kind is Isolation.NAMESPACE
        # The first process of the namespace is ours and counts for nothing.
        watch = Watch(child if first else os.getpid(), self.limits)
        while self._reap(child):
            received = signal.sigtimedwait(self.awaited, PERIOD)
            if self.reason is None:
                stopped = received is not None and received.si_signo == signal.SIGTERM
                self.reason = Reason.STOPPED if stopped else self._look(watch)
            if self.reason is not None:
                self._stop(child)
        return self._ending(watch, self._read(report))

    def _stop(self, child: int) -> None:
        """Ends everything below; to be repeated until nothing is left."""
        first = self.kind is Isolation.NAMESPACE and self.status is None
        if first and time.monotonic() < self.given_up_at:
            self.given_up_at = min(self.given_up_at, time.monotonic() + GRACE)
            # With its end the kernel ends all others too, but throws away what they used. It
            # ends them as surely, and collects them.
            os.kill(child, signal.SIGTERM)
        else:
            kill_descendants(os.getpid())

    def _look(self, watch: Watch) -> Reason | None:
        return Reason.ABANDONED if self.hangup.poll(0) else watch.check()

    def _reap(self, child: int) -> bool:
        """Collects what ended; whether anything is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                if self.status is not None:
                    # The worker is gone, and what it left behind has nobody to work for.
                    kill_descendants(os.getpid())
                return True
            self.cpu_seconds += usage.ru_utime + usage.ru_stime
            if pid == child:
                self.status = status

    def _read(self, report: int) -> int:
        """The wait status of the worker, from its parent if that is not this process."""
        status = self.status or 0
        with os.fdopen(os.dup(report), "rb") as file:
            for line in file:
                if line.startswith(FAILED):
                    raise _refused(self.kind, line.removeprefix(FAILED).decode().strip())
                if line.startswith(ENDED):
                    status = int(line.removeprefix(ENDED))
        return status

    def _ending(self, watch: Watch, status: int) -> Ending:
        code = os.waitstatus_to_exitcode(status)
        reason = self.reason
        if reason is None or code == 0:
            # It may have ended well just before it was to be stopped.
            own = {0: Reason.DONE, -signal.SIGXFSZ: Reason.FILE_SIZE}
            reason = own.get(code, Reason.SIGNAL if code < 0 else Reason.EXIT)
        return Ending(reason, code, watch.seconds, self.cpu_seconds, watch.peak_mib)


def _refused(kind: Isolation, found: str) -> InputError:
    return InputError(
        "a worker cannot be confined",
        where=f"isolation {kind}",
        found=found,
        expected="a kernel that allows it, and a process with one thread",
        next="bdbench doctor says which kinds this machine can do, and why not the others",
    )
