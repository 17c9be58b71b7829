"""What stays behind: for other cells, and for what runs after a component in its process."""

import atexit
import ctypes
import os
import socket
import sys
import tempfile
import threading
import time
import traceback
from importlib.util import find_spec
from pathlib import Path

from bdbench_canary.doors import unix_names
from bdbench_canary.memory import walk
from bdbench_canary.tokens import Harvest, fresh

SECONDS = 20
"""How long a process lives that is left behind."""
NAME = "zqsurvivor"
_PATTERN = "canary-*.msg"
_SHARED_KEY, _SHARED_SIZE = 0x5A510001, 64
_SPREAD = 1_000_000
"""A time of change that is a multiple of this many nanoseconds, plus `_SIGN`, is a message."""
_SIGN = 424_242


def message_places():
    """Folders in which other processes may look."""
    package = Path(find_spec("bdbench").origin).parent
    found = [Path(tempfile.gettempdir()), Path("/dev/shm"), Path("/var/tmp"), Path("/run/lock")]  # noqa: S108
    # Beside compiled code: what is written there, later processes could run.
    compiled = [package / "__pycache__", Path(__file__).parent / "__pycache__"]
    found += [Path.home(), Path.cwd(), *compiled]
    return list(dict.fromkeys(found))


def leave_messages(scene):
    """One token, by every means, for whoever comes next."""
    token = fresh("drop")
    inputs = [path.parent / ".." for path in scene.models]
    for place in [*message_places(), *scene.models, *inputs, *scene.paths]:
        # Not into the store's own objects: a file that does not belong there spoils them.
        if place in scene.models or not place.is_dir():
            continue
        try:
            (place / f"canary-{token}.msg").write_text(token, "utf-8")
        except OSError:
            continue
    _share(token)
    _keep(token)
    _survive(token)
    return token


def messages(scene, seconds):
    """What others have left, in files, shared memory, keyrings and processes."""
    harvest = Harvest(seconds)
    for place in [*message_places(), *scene.paths, *(path.parent / ".." for path in scene.models)]:
        for path in place.glob(_PATTERN):
            harvest.data(path.read_bytes())
    harvest.data(_shared())
    harvest.data(_kept())
    for name in unix_names():
        if name.startswith("\0canary"):
            with socket.socket(socket.AF_UNIX) as end:
                end.settimeout(0.2)
                try:
                    end.connect(name)
                    harvest.data(end.recv(100))
                except OSError:
                    continue
    return harvest


def marks(scene, seconds):
    """Inputs that another cell has marked by their time of change; and marks them."""
    harvest = Harvest(seconds)
    sign = (os.getpid() % 1000) * _SPREAD + _SIGN
    for root in scene.models:
        for path in root.rglob("*.safetensors"):
            changed = path.stat().st_mtime_ns
            if is_mark(changed):
                harvest.found.add("mark of another cell")
            try:
                os.utime(path, ns=(changed, changed // 10**9 * 10**9 + sign))
            except OSError:
                continue
    return harvest


def is_mark(changed):
    """Whether a time of change, in nanoseconds, is a canary's message."""
    return changed % _SPREAD == _SIGN


def clean_up():
    """Takes away what canaries have left; for the tests."""
    for place in message_places():
        for path in place.glob(_PATTERN):
            path.unlink()
    libc = ctypes.CDLL(None)
    segment = libc.shmget(_SHARED_KEY, _SHARED_SIZE, 0o600)
    if segment >= 0:
        libc.shmctl(segment, 0, None)  # IPC_RMID
    number = _key_number()
    if number > 0:
        libc.syscall(*_calls()[1:], 21, number)  # KEYCTL_INVALIDATE


# --- shared memory, keyrings, processes ---------------------------------------------------------


def _segment(flags):
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmdt.argtypes = [ctypes.c_void_p]
    segment = libc.shmget(_SHARED_KEY, _SHARED_SIZE, 0o600 | flags)
    place = libc.shmat(segment, None, 0) if segment >= 0 else None
    return libc, None if place in {None, ctypes.c_void_p(-1).value} else place


def _share(token):
    libc, place = _segment(0o1000)  # IPC_CREAT
    if place:
        ctypes.memmove(place, token.encode(), len(token))
        libc.shmdt(place)


def _shared():
    libc, place = _segment(0)
    if not place:
        return b""
    data = ctypes.string_at(place, _SHARED_SIZE)
    libc.shmdt(place)
    return data


def _calls():
    """The numbers of add_key and keyctl."""
    return (217, 219) if os.uname().machine == "aarch64" else (248, 250)


_SESSION = ctypes.c_long(-3)  # KEY_SPEC_SESSION_KEYRING


def _keep(token):
    libc, data = ctypes.CDLL(None), token.encode()
    libc.syscall(_calls()[0], b"user", b"canary", data, ctypes.c_size_t(len(data)), _SESSION)


def _key_number():
    return ctypes.CDLL(None).syscall(_calls()[1], 10, _SESSION, b"user", b"canary", 0)  # SEARCH


def _kept():
    number, data = _key_number(), ctypes.create_string_buffer(100)
    if number > 0:
        ctypes.CDLL(None).syscall(_calls()[1], 11, number, data, ctypes.c_size_t(100))  # READ
    return data.raw


def _survive(token):
    """Leaves a process behind that tells the token to whoever asks."""
    if os.fork():
        return
    try:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, NAME.encode(), 0, 0, 0)  # PR_SET_NAME
            for number in range(3):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.closerange(3, 1024)
            _tell(token, time.monotonic() + SECONDS)
    finally:
        os._exit(0)


def _tell(token, end):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0canary-{os.getpid()}")
        server.listen()
        while time.monotonic() < end:
            server.settimeout(end - time.monotonic())
            server.accept()[0].sendall(token.encode())


# --- what runs after a component -----------------------------------------------------------------

_seen = {"patches": set(), "leftovers": set()}
_late = []
_wrapped = set()


def patches(_scene, seconds):
    """Wraps functions that the host may call later here, and watches what goes through them."""
    harvest = Harvest(seconds)
    # From calls before this one: a process that serves several cells keeps the wrapping.
    harvest.found |= _seen["patches"]
    import shutil

    import pyarrow.parquet as pq

    for owner, name in ((pq, "write_table"), (pq, "read_table"), (shutil, "copytree")):
        _wrap(owner, name)
    engine = sys.modules.get("bdbench.engine.screening")
    for name in ("same_row", "read_examples"):
        if hasattr(engine, name):
            _wrap(engine, name)
    return harvest


def _wrap(owner, name):
    if (owner, name) in _wrapped:
        return
    _wrapped.add((owner, name))
    original = getattr(owner, name)

    def wrapper(*args, **kwargs):
        result = original(*args, **kwargs)
        harvest = Harvest(0.1)
        walk(harvest, [*args, *kwargs.values(), result], 2)
        _note("patches", harvest)
        return result

    setattr(owner, name, wrapper)


def leftovers(_scene, seconds):
    """A thread that goes on looking at the frames of others, and a function for the end."""
    harvest = Harvest(seconds)
    harvest.found |= _seen["leftovers"]
    threading.Thread(target=_watch, args=(threading.get_ident(),), daemon=True).start()
    atexit.register(_leave_at_exit)
    return harvest


def _watch(thread):
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        time.sleep(0.02)
        stack = [frame for frame, _ in traceback.walk_stack(sys._current_frames().get(thread))]
        # What the canary itself does meanwhile is no news.
        if not any("bdbench_canary" in frame.f_code.co_filename for frame in stack):
            harvest = Harvest(0.1)
            walk(harvest, [value for frame in stack for value in frame.f_locals.values()], 5)
            _note("leftovers", harvest)


def _leave_at_exit():
    (Path(tempfile.gettempdir()) / "canary-exit.msg").write_text(fresh("drop"), "utf-8")


def _note(probe, harvest):
    _seen[probe] |= harvest.found | harvest.vectors
    for late in _late:
        late[probe] += [item for item in harvest.result() if item not in late[probe]]


def watch_later():
    """Lists that go on filling: in the notes of a component, until they are written."""
    _late.append({"patches": [], "leftovers": []})
    del _late[:-4]
    return _late[-1]
