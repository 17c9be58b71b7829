"""What a worker tries to find, reach or change, and must not.

Each probe gives what it got hold of; an empty list is what is wanted. Where a mere process can
do it, the same probe must find something there: a probe that never finds anything proves
nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bdbench.execution.sandbox import Isolation
from bdbench.execution.sandbox.landlock import landlock_version

SHARED = Path("/dev/shm")  # noqa: S108 -- where the kernel keeps shared memory


def tried(*attempts):
    """What of the attempts did not fail, and what it gave."""
    got = []
    for attempt in attempts:
        with suppress(OSError):
            got.append(str(attempt()))
    return got


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(address)
        return "connected"


def by_path(host, box):
    return tried(host.secret.read_text, (box / ".." / ".." / "home" / "secret.txt").read_text)


def by_root_of_process(host, box):
    # One's own root is one's own view, whatever name it goes by.
    pids = ["1", str(host.pid), str(os.getppid()), "self", "thread-self"]
    return tried(*(Path(f"/proc/{pid}/root{host.secret}").read_text for pid in pids))


def by_process_of_host(host, box):
    places = [Path("/proc", str(host.pid))]
    if os.getppid() == 1:
        # The first process of the namespace: the only other one there is.
        places.append(Path("/proc/1"))
    return [item for place in places for item in by_looking_into(place)]


def by_looking_into(place):
    return tried(
        lambda: (place / "environ").read_bytes()[:10],
        lambda: (place / "maps").read_text()[:10],
        lambda: (place / "mem").open("rb").close(),
        lambda: [path.open("rb").close() for path in sorted((place / "fd").iterdir())],
        lambda: [path.readlink() for path in sorted((place / "fd").iterdir())],
        (place / "cwd").readlink,
        (place / "root").readlink,
        (place / "exe").readlink,
        (place / "cwd" / "secret.txt").read_text,
    )


def by_globbing(host, box):
    found = []
    for start in ("/", host.start, box / ".." / "..") if host.everywhere else (host.start,):
        for folder, folders, files in os.walk(start):
            if folder == "/":
                folders[:] = [name for name in folders if name not in {"proc", "sys"}]
            found += [str(Path(folder, name)) for name in files if name == host.marker]
    return found + [
        str(path) for path in Path("/proc").glob("[0-9]*/cwd/marker-*") if host.everywhere
    ]


def by_descriptor(host, box):
    found = []
    for number in range(3, 1024):
        with suppress(OSError):
            target = str(Path(f"/proc/self/fd/{number}").readlink())
            os.fstat(number)
            if target in {os.devnull, f"/proc/{os.getpid()}"}:
                continue  # nothing, and its own, which Landlock needs
            if not target.startswith("pipe:"):
                found.append(target)
            found += [os.pread(number, 100, 0).decode("utf-8", "replace")]
    return found


def by_process_list(host, box):
    seen = tried(lambda: os.kill(host.pid, 0), lambda: Path(f"/proc/{host.pid}/status").read_text())
    with suppress(OSError):
        # Its own two: the first of the namespace and the worker.
        seen += [
            path.name
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and int(path.name) > 2
        ]
    return seen


def by_tcp(host, box):
    return tried(
        lambda: connect(socket.AF_INET, ("127.0.0.1", host.tcp)),
        lambda: socket.create_server(("127.0.0.1", 0)).getsockname(),
    )


def by_unix_path(host, box):
    here = Path.cwd()
    try:
        os.chdir(host.folder)
    except OSError:
        return []
    try:
        return tried(lambda: connect(socket.AF_UNIX, "s"))
    finally:
        os.chdir(here)


def by_unix_abstract(host, box):
    return tried(lambda: connect(socket.AF_UNIX, host.abstract))


def by_udp(host, box):
    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            return client.sendto(b"told", ("127.0.0.1", host.udp))

    return tried(send)


def by_datagram_pair(host, box):
    def send():
        one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        return one.sendto(b"told", str(host.folder / "s"))

    # Even to a socket of the wrong type: "refused" comes before that is looked at.
    try:
        return [str(send())]
    except OSError as error:
        return [] if error.errno in {1, 2, 13} else [str(error)]


def by_environment(host, box):
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    places = [
        repr(dict(os.environ)),
        Path("/proc/self/environ").read_bytes().decode(),
        str(libc.getenv(b"BDBENCH_SECRET")),
    ]
    return [place for place in places if host.text in place]


def by_arguments(host, box):
    found = [Path("/proc/self/cmdline").read_bytes().decode().strip("\0"), *sys.argv]
    return [text for text in [*found, *sys.orig_argv] if text]


def by_writing_outside(host, box):
    site = Path(ctypes.__file__).parent
    places = [host.folder, site, Path("/usr"), Path("/etc"), Path("/"), SHARED.parent]
    wrote = []
    for place in places:
        path = place / f"written-{host.pid}"
        with suppress(OSError):
            path.write_text("x")
            wrote.append(str(path))
            path.unlink()
    return wrote + tried(lambda: os.truncate(host.secret, len(host.text)))


def by_system_settings(host, box):
    # Writing back what is there: a root without capabilities is still the owner.
    path = Path("/proc/sys/kernel/core_pattern")
    return tried(lambda: path.write_text(path.read_text()))


def by_shared_memory(host, box):
    libc = ctypes.CDLL(None, use_errno=True)
    found = [] if libc.shmget(0x1234, 4096, 0o1600) == -1 else ["shmget"]
    found += [] if libc.msgget(0x1234, 0o1600) == -1 else ["msgget"]
    return found + tried((SHARED / host.marker).read_text)


PROBES = [
    by_path,
    by_root_of_process,
    by_process_of_host,
    by_globbing,
    by_descriptor,
    by_process_list,
    by_tcp,
    by_unix_path,
    by_unix_abstract,
    by_udp,
    by_datagram_pair,
    by_environment,
    by_arguments,
    by_writing_outside,
    by_system_settings,
    by_shared_memory,
]

NOT_BY_ANY_KIND = {by_descriptor, by_environment, by_arguments}
"""Closed to a mere process too; the pair of each below runs without `run_confined`."""
NEEDS_ROOT = {by_system_settings}


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_finds_nothing(inside, walled, user, outside, probe):
    assert inside.result(walled, lambda box: probe(outside, box), before=user) == []


def by_signals(host):
    """One that does nothing, in each way there is."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number, *arguments):
        if libc.syscall(number, *arguments):
            raise OSError(ctypes.get_errno(), "refused")

    kill, tkill, tgkill = NUMBERS[platform.machine()]
    return tried(
        lambda: os.kill(host.pid, 0),
        lambda: call(kill, host.pid, 0),
        lambda: call(tkill, host.pid, 0),
        lambda: call(tgkill, host.pid, host.pid, 0),
    )


NUMBERS = {"x86_64": (62, 200, 234), "aarch64": (129, 130, 131)}


@pytest.mark.parametrize("version", [5, 6])
def test_landlock_lets_no_signal_out_whether_or_not_the_kernel_scopes_them(
    inside, landlock, user, outside, version, monkeypatch
):
    """Kernels before 6.12 do not: there, nobody may send any."""
    if landlock_version() < version:
        pytest.skip(f"Landlock of this kernel is version {landlock_version()}")
    monkeypatch.setattr("bdbench.execution.sandbox.landlock.landlock_version", lambda: version)
    assert inside.result(landlock, lambda box: by_signals(outside), before=user) == []
    assert inside.result(Isolation.PROCESS, lambda box: by_signals(outside)) != []


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_the_probe_has_teeth(inside, outside, probe, monkeypatch):
    outside.everywhere = False
    if probe in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip("an ordinary user may not write there in any case")
    if probe in NOT_BY_ANY_KIND:
        assert inside.result(Isolation.PROCESS, lambda box: probe(outside, box)) == []
        assert probe(outside, outside.folder)
        return
    shared = SHARED / outside.marker
    shared.write_text(outside.text)
    try:
        assert inside.result(Isolation.PROCESS, lambda box: probe(outside, box))
    finally:
        shared.unlink()
        remove_shared()


def remove_shared():
    libc = ctypes.CDLL(None)
    libc.shmctl(libc.shmget(0x1234, 4096, 0), 0, None)
    libc.msgctl(libc.msgget(0x1234, 0), 0, None)


def test_walls_of_the_network_stand_without_the_filter(inside, namespace, outside, monkeypatch):
    monkeypatch.setattr("bdbench.execution.sandbox.worker.restrict_calls", lambda **_: None)
    found = inside.result(
        namespace,
        lambda box: [
            probe(outside, box) for probe in (by_tcp, by_unix_path, by_unix_abstract, by_udp)
        ],
    )
    # A server of its own is what it may make then.
    assert [[item for item in items if "127.0.0.1" not in item] for items in found] == [[]] * 4
