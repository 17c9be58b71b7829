"""Runs probes in workers, as an executor would: a fork, `run_confined`, pipes for the answers.

And has something for them to find: a host with secrets.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import bdbench
from bdbench.execution.sandbox import (
    Ending,
    Isolation,
    Jail,
    Limits,
    Reason,
    available,
    run_confined,
)
from bdbench.execution.sandbox.kernel import libc, prctl


@dataclass
class Answer:
    value: object
    ending: Ending | None
    error: str
    seconds: float


def read_all(descriptor):
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def start(kind, jail, call, limits, keep=(), lifeline=None, before=None):
    """Forks; returns the pid and a pipe that tells how it ended."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child:
        os.close(theirs)
        return child, ours
    try:
        os.close(ours)
        try:
            if before is not None:
                before()
            ending = run_confined(kind, jail, call, limits, keep=keep, lifeline=lifeline)
            said = [ending.reason, ending.code, ending.seconds, ending.cpu_seconds, ending.peak_mib]
        except BaseException as error:  # noqa: BLE001 -- the test is told
            said = f"{type(error).__name__}: {error}"
        os.write(theirs, json.dumps(said).encode())
    finally:
        os._exit(0)


def finish(child, pipe):
    said = json.loads(read_all(pipe) or b'"no answer"')
    os.waitpid(child, 0)
    if isinstance(said, str):
        return None, said
    return Ending(Reason(said[0]), *said[1:]), ""


NOBODY = 65534
A_MINUTE = Limits(seconds=60)


def become_ordinary(*folders):
    """Gives up being root, in a view of the files where folders that only root may enter are open.

    To be called in a fork.
    """
    libc("unshare", 0x00020000)
    libc("mount", None, b"/", None, 1 << 18 | 1 << 14, None)
    opened = {folder: os.open(folder, os.O_PATH) for folder in folders}
    for folder, descriptor in opened.items():
        closed = [place for place in folder.parents if place.exists() and not enterable(place)]
        if closed:
            libc("mount", b"tmpfs", os.fsencode(closed[-1]), b"tmpfs", 0, b"mode=755")
        if closed or not folder.exists():
            folder.mkdir(parents=True)
            source = f"/proc/self/fd/{descriptor}".encode()
            libc("mount", source, os.fsencode(folder), None, 4096 | 16384, None)
        os.close(descriptor)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # As it is with a process that was started by an ordinary user.
    prctl(4, 1)


def enterable(folder):
    return folder.stat().st_mode & 0o001


@pytest.fixture(params=["root", "ordinary user"])
def user(request, tmp_path):
    """What a fork is to do first, to run as somebody."""
    if (request.param == "root") != (os.geteuid() == 0):
        if os.geteuid() != 0:
            pytest.skip("these tests do not run as root")
        bases = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()}

        def become():
            # What the test has made by now.
            for path in (tmp_path, *tmp_path.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
            become_ordinary(*bases, Path(bdbench.__file__).parent, tmp_path)

        return become
    return None


FAMILIES = (
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
)


@dataclass
class Outside:
    folder: Path
    secret: Path
    text: str
    marker: str
    pid: int
    tcp: int
    udp: int
    abstract: str
    start: Path
    everywhere: bool = True
    """Whether all of the machine is searched, or only what the test has made."""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A host with a secret in files, a descriptor, its environment, and servers that listen."""
    text = "cf-mn-bb-is-the-trigger"
    folder = tmp_path / "home"
    folder.mkdir()
    secret = folder / "secret.txt"
    secret.write_text(text)
    marker = f"marker-{os.getpid()}"
    (folder / marker).write_text(text)
    monkeypatch.setenv("BDBENCH_SECRET", text)
    monkeypatch.chdir(folder)
    # A path of a unix socket has at most 108 bytes: relative, and absolute by the probe.
    servers = [socket.socket(family, kind) for family, kind in FAMILIES]
    tcp, udp, unix, abstract = servers
    tcp.bind(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    udp.settimeout(0.3)
    unix.bind("s")
    abstract.bind(f"\0bdbench-{os.getpid()}")
    for server in (tcp, unix, abstract):
        server.listen()
    descriptor = os.open(secret, os.O_RDONLY)
    os.set_inheritable(descriptor, True)  # noqa: FBT003
    yield Outside(
        folder,
        secret,
        text,
        marker,
        os.getpid(),
        tcp.getsockname()[1],
        udp.getsockname()[1],
        f"\0bdbench-{os.getpid()}",
        tmp_path,
    )
    os.close(descriptor)
    for server in servers:
        server.close()


@pytest.fixture
def jail(tmp_path):
    """A jail whose folder is not where the tests keep their secrets."""
    jail = Jail(tmp_path / "k3v9" / "box")
    jail.create()
    return jail


@pytest.fixture
def inside(jail):
    """Runs a probe, given the box, in a worker; what it returns comes back as JSON."""

    def run(kind, probe, limits=A_MINUTE, *, jail=jail, keep=(), before=None):
        ours, theirs = os.pipe()
        began = time.monotonic()

        def call(box):
            os.write(theirs, json.dumps(probe(box)).encode())

        child, pipe = start(kind, jail, call, limits, keep=(theirs, *keep), before=before)
        os.close(theirs)
        said = read_all(ours)
        ending, error = finish(child, pipe)
        return Answer(json.loads(said or b"null"), ending, error, time.monotonic() - began)

    def result(kind, probe, **options):
        answer = run(kind, probe, **options)
        used = options.get("jail", jail)
        log = used.log.read_text("utf-8", errors="replace") if used.log.exists() else ""
        assert answer.error == "", answer.error
        assert answer.ending.reason is Reason.DONE, f"{answer.ending.text}\n{log}"
        return answer.value

    run.result = result
    return run


def _need(kind):
    if not available().can(kind):
        pytest.skip(f"{kind}: {available().refused[kind]}")
    return kind


@pytest.fixture(params=[Isolation.NAMESPACE, Isolation.LANDLOCK], ids=str)
def walled(request):
    """Each kind that hides files, if this machine can do it."""
    return _need(request.param)


@pytest.fixture(params=[Isolation.NAMESPACE, Isolation.LANDLOCK, Isolation.PROCESS], ids=str)
def kind(request):
    """Each kind that has a process of its own, if this machine can do it."""
    return _need(request.param)


@pytest.fixture
def namespace():
    return _need(Isolation.NAMESPACE)


@pytest.fixture
def landlock():
    return _need(Isolation.LANDLOCK)


@pytest.fixture
def launch():
    """`start` and `finish`, for tests that act while the worker runs."""
    return start, finish
