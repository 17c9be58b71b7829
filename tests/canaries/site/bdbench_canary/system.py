"""What the kernel tells: of this process, of others, of what it has open."""

import ctypes
import os
import stat
from pathlib import Path

from bdbench_canary.files import scan_folder
from bdbench_canary.memory import scan_memory
from bdbench_canary.tokens import Harvest


def environment(_scene, seconds):
    """The variables that Python and the C library hold."""
    harvest = Harvest(seconds)
    for name, value in os.environ.items():
        harvest.text(f"{name}={value}")
    return harvest


def own_process(_scene, seconds):
    """What /proc says of this process; it shows what it was *launched* with."""
    harvest = Harvest(seconds)
    for name in ("environ", "cmdline", "mountinfo", "maps", "cgroup", "status", "task/self/comm"):
        _read(f"/proc/self/{name}", harvest)
    for name in ("cwd", "root", "exe"):
        _link(f"/proc/self/{name}", harvest)
    return harvest


def other_processes(_scene, seconds):
    """Environment, arguments, folders, open files and memory of all other processes."""
    harvest = Harvest(seconds)
    names = [path.name for path in Path("/proc").iterdir()]
    others = [name for name in names if name.isdigit() and int(name) != os.getpid()]
    for pid in others:
        for name in ("environ", "cmdline"):
            _read(f"/proc/{pid}/{name}", harvest)
        _link(f"/proc/{pid}/cwd", harvest)
        for number in _list(f"/proc/{pid}/fd"):
            _link(f"/proc/{pid}/fd/{number}", harvest)
    for pid in _family(others):
        if harvest.over:
            break
        scan_folder(Path(f"/proc/{pid}/cwd/"), harvest, depth=2)
        try:
            scan_memory(pid, harvest)
        except OSError:
            continue
    return harvest


def _family(pids):
    """The nearest ancestors and what descends from them: no other's memory is our business."""
    parents = {}
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(pid)] = int(fields[1])
    ancestors = [os.getppid()]
    while len(ancestors) < 3 and parents.get(ancestors[-1], 0) > 0:
        ancestors.append(parents[ancestors[-1]])
    family = [pid for pid in ancestors if pid in parents]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid not in family]
        family = list(dict.fromkeys(family))
    return family


def descriptors(_scene, seconds):
    """Every open file, pipe and socket: its name, and what can be read without taking it."""
    harvest = Harvest(seconds)
    for number in _list("/proc/self/fd"):
        _link(f"/proc/self/fd/{number}", harvest)
        try:
            mode = os.fstat(int(number)).st_mode
            if stat.S_ISREG(mode):
                harvest.data(Path(f"/proc/self/fd/{number}").read_bytes()[: 1 << 22])
            elif stat.S_ISFIFO(mode):
                harvest.data(_peek_pipe(int(number)))
            elif stat.S_ISSOCK(mode):
                harvest.data(_peek_socket(int(number)))
        except OSError:
            continue
    return harvest


def _peek_pipe(number):
    libc = ctypes.CDLL(None, use_errno=True)
    read, write = os.pipe()
    try:
        count = libc.tee(number, write, 1 << 16, 2)  # SPLICE_F_NONBLOCK
        return os.read(read, count) if count > 0 else b""
    finally:
        os.close(read)
        os.close(write)


def _peek_socket(number):
    import socket

    with socket.socket(fileno=os.dup(number)) as end:
        # With room for descriptors that somebody has sent along.
        data, passed, *_ = end.recvmsg(1 << 16, 1024, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return data + b"".join(item[2] for item in passed)


def _read(path, harvest):
    try:
        data = Path(path).read_bytes()
    except OSError:
        return
    harvest.data(data)
    for part in data.replace(b"\0", b"\n").split():
        harvest.names(part.decode("utf-8", "replace"))


def _link(path, harvest):
    try:
        harvest.text(f"{Path(path).readlink()}/")
    except OSError:
        return


def _list(path):
    try:
        return [item.name for item in Path(path).iterdir()]
    except OSError:
        return []
