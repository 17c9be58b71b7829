"""What a worker may ask of the kernel: as little as a process can."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from bdbench.execution.sandbox import Isolation


def call(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return "" if result == -1 else name


CALLS = [
    ("mount", (b"tmpfs", b"tmp", b"tmpfs", 0, None)),
    ("mount", (None, b"/usr", None, 32 | 4096, None)),
    ("mount", (b"proc", b"tmp", b"proc", 0, None)),
    ("umount2", (b"/proc", 2)),
    ("umount2", (b"/usr", 2)),
    ("chroot", (b"tmp",)),
    ("unshare", (0x10000000,)),
    ("unshare", (0x00020000,)),
    ("unshare", (0x10000000 | 0x20000000 | 0x40000000,)),
    ("sethostname", (b"mine", 4)),
    ("setuid", (12345,)),
]


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_no_privilege_is_left(inside, walled, user, name, arguments):
    assert inside.result(walled, lambda box: call(name, *arguments), before=user) == ""


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_nor_without_the_filter(inside, namespace, monkeypatch, name, arguments):
    monkeypatch.setattr("bdbench.execution.sandbox.worker.restrict_calls", lambda **_: None)
    assert inside.result(namespace, lambda box: call(name, *arguments)) == ""


def test_a_child_gets_no_user_namespace_of_its_own(inside, walled):
    number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]

    def clone(flags):
        pid = ctypes.CDLL(None).syscall(*map(ctypes.c_long, (number, flags | 17, 0, 0, 0, 0)))
        if pid == 0:
            os._exit(0)
        return pid > 0 and os.waitpid(pid, 0)[1] == 0

    def probe(box):
        return [clone(0), clone(0x10000000)]

    assert inside.result(walled, probe) == [True, False]
    assert inside.result(Isolation.PROCESS, probe) == [True, True]


def test_reading_memory_of_another_is_refused(inside, walled):
    # An empty read, which looks at nobody: what refuses it is the filter.
    def probe(box):
        return call("process_vm_readv", os.getppid(), None, 0, None, 0, 0)

    assert inside.result(walled, probe) == ""
    assert inside.result(Isolation.PROCESS, probe) == "process_vm_readv"


def test_ptrace_of_a_child_is_refused(inside, walled):
    # PTRACE_TRACEME asks for the least.
    assert inside.result(walled, lambda box: call("ptrace", 0, 0, 0, 0)) == ""
    assert inside.result(Isolation.PROCESS, lambda box: call("ptrace", 0, 0, 0, 0)) == "ptrace"


def test_raw_calls_round_the_filter_are_not_there(inside, walled):
    def probe(box):
        libc = ctypes.CDLL(None, use_errno=True)
        results = []
        for number in (425, 435, 0x40000000 + 39):  # io_uring_setup, clone3, x32 getpid
            ctypes.set_errno(0)
            libc.syscall(ctypes.c_long(number), ctypes.c_long(0), ctypes.c_long(0))
            results.append(ctypes.get_errno())
        return results

    if os.uname().machine != "x86_64":
        pytest.skip("numbers of x86_64")
    assert inside.result(walled, probe) == [38, 38, 38]


def test_capabilities_are_gone_for_good(inside, walled, user):
    def probe(box):
        lines = Path("/proc/self/status").read_text().splitlines()
        return {line.split(":")[0]: line.split()[1] for line in lines if line[:3] in {"Cap", "NoN"}}

    found = inside.result(walled, probe, before=user)
    assert found.pop("NoNewPrivs") == "1"
    if (user or os.geteuid() != 0) and walled is Isolation.LANDLOCK:
        found.pop("CapBnd")  # an ordinary user cannot drop it, and cannot use it either
    assert set(found.values()) == {"0" * 16}


def test_an_ordinary_user_is_one(inside, kind, user):
    expected = 65534 if user else os.geteuid()
    assert inside.result(kind, lambda box: [os.getuid(), os.getgid()], before=user)[0] == expected


# --- namespaces ---------------------------------------------------------------------------------


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_the_new_root_has_nothing_behind_it(inside, namespace, outside):
    def probe(box):
        found = [names("/"), names("/box")]
        os.chdir("/")
        for _ in range(20):
            os.chdir("..")
        return [*found, names(".") == found[0]]

    top, box, same = inside.result(namespace, probe)
    assert same
    assert box == ["in", "out", "tmp"]
    assert {"box", "dev", "proc", "usr"} <= set(top)
    assert ".old" not in top


def test_the_first_process_has_no_arguments(inside, namespace):
    assert (
        inside.result(namespace, lambda box: Path("/proc/1/cmdline").read_text()).strip("\0") == ""
    )
    assert Path("/proc/self/cmdline").read_text().strip("\0")


def test_every_namespace_is_its_own(inside, namespace):
    def probe(box):
        kinds = ("ipc", "mnt", "net", "pid", "user", "uts")
        return [str(Path("/proc/self/ns", kind).readlink()) for kind in kinds]

    assert not set(inside.result(namespace, probe)) & set(probe(None))


def test_only_the_loopback_is_there_and_it_is_down(inside, namespace):
    def probe(box):
        rows = Path("/proc/net/dev").read_text().splitlines()[2:]
        return [[row.split(":")[0].strip() for row in rows], Path("/proc/net/route").read_text()]

    names, routes = inside.result(namespace, probe)
    assert names == ["lo"]
    assert len(routes.splitlines()) <= 1
