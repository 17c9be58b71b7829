"""What answers: servers on this machine, and whoever forks processes for others."""

import socket
from pathlib import Path

from bdbench_canary.tokens import Harvest

_LISTENING, _WELL_KNOWN = "0A", (5000, 5001, 6379, 8000, 8080, 8265)


def network(_scene, seconds):
    """Every server that listens, on TCP, UDP and unix sockets: whatever it says at once."""
    harvest = Harvest(seconds)
    for port in [*_ports("tcp"), *_ports("tcp6"), *_WELL_KNOWN]:
        harvest.data(_hear(socket.AF_INET, ("127.0.0.1", port)))
    for port in _ports("udp"):
        harvest.data(_hear(socket.AF_INET, ("127.0.0.1", port), socket.SOCK_DGRAM))
    for name in unix_names():
        # A fork server may end when a caller says nothing.
        if not _forks(name) and not harvest.over:
            harvest.data(_hear(socket.AF_UNIX, name))
    return harvest


def doors(_scene, seconds):
    """Forks of a server that is not in the sandbox would not be in it either."""
    harvest = Harvest(seconds)
    for name in unix_names():
        if _forks(name) and _reachable(name):
            harvest.found.add("way out: a fork server")
    return harvest


def _forks(name):
    """Whether it is named like those of multiprocessing, or like the host's."""
    return "/listener-" in name or name.endswith("/warm")


def unix_names():
    """The addresses of all unix sockets in view, abstract ones with a leading zero."""
    names = [line.split()[7] for line in _table("unix") if len(line.split()) > 7]
    return ["\0" + name[1:] if name.startswith("@") else name for name in dict.fromkeys(names)]


def _ports(protocol):
    lines = [line.split() for line in _table(protocol)]
    return [
        int(fields[1].rpartition(":")[2], 16)
        for fields in lines
        if protocol == "udp" or fields[3] == _LISTENING
    ]


def _table(name):
    try:
        return Path(f"/proc/net/{name}").read_text("utf-8", "replace").splitlines()[1:]
    except OSError:
        return []


def _hear(family, address, kind=socket.SOCK_STREAM):
    try:
        with socket.socket(family, kind) as end:
            end.settimeout(0.1)
            end.connect(address)
            if kind == socket.SOCK_DGRAM:
                end.send(b"?")
            return end.recv(1 << 12)
    except OSError:
        return b""


def _reachable(name):
    """Whether a stream socket is there for us; one of another kind finds out and disturbs none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.connect(name)
    except ConnectionRefusedError:
        return False
    except OSError as error:
        import errno

        return error.errno == errno.EPROTOTYPE
    return False
