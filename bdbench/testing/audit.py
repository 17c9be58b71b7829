"""What Python's own audit tells of a component: files, connections, the state of the process.

What is done below Python (a library in C that opens a file by itself) is not told.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["effects", "trespasses"]

Listener = Callable[[str, tuple[Any, ...]], None]

WATCHED = ("open", "socket.", "subprocess.", "os.system", "os.mkdir", "os.remove", "os.rename")
CODE = (".py", ".pyc", ".so", ".pyd")

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PATHS: dict[str, tuple[str, tuple[tuple[int, int | None], ...]]] = {
    "open": ("writes", ((0, None),)),
    "os.chmod": ("changes", ((0, 2),)),
    "os.chown": ("changes", ((0, 3),)),
    "os.link": ("writes", ((1, 3),)),
    "os.mkdir": ("writes", ((0, 2),)),
    "os.remove": ("deletes", ((0, 1),)),
    "os.rename": ("moves", ((0, 2), (1, 3))),
    "os.rmdir": ("deletes", ((0, 1),)),
    "os.symlink": ("writes", ((1, 2),)),
    "os.truncate": ("writes", ((0, None),)),
    "os.utime": ("changes", ((0, 3),)),
}
"""What is done to a path; where among the event's arguments the path stands, and where the
descriptor of the folder that it is relative to."""

PROCESS = {
    "os.chdir": ("changes the current folder to", 0),
    "socket.connect": ("connects to", 1),
    "socket.getaddrinfo": ("looks up", 0),
    "socket.gethostbyname": ("looks up", 0),
    "socket.sendto": ("sends to", 1),
}
"""What is done otherwise, and where the argument that tells to what."""

ENVIRONMENT = ("os.putenv", "os.unsetenv")


class _Audit:
    """The one hook of this process: it cannot be taken off again, so it tells who listens."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self._busy = False
        self._hooked = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        # What a listener does itself is no news to it.
        if self.listener is None or self._busy:
            return
        self._busy = True
        try:
            self.listener(event, arguments)
        finally:
            self._busy = False

    @contextlib.contextmanager
    def told(self, listener: Listener) -> Iterator[None]:
        """Tells a listener what happens in a block."""
        if not self._hooked:
            sys.addaudithook(self)
            self._hooked = True
        before, self.listener = self.listener, listener
        try:
            yield
        finally:
            self.listener = before


_audit = _Audit()


@contextlib.contextmanager
def effects() -> Iterator[list[str]]:
    """Notes every file, process and connection that a block touches, imports apart."""
    found: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith(WATCHED):
            return
        subject = str(arguments[0]) if arguments else ""
        # Imports read code: that they are late is no fault.
        if event == "open" and (subject.endswith(CODE) or subject.startswith(sys.prefix)):
            return
        found.append(f"{event} {subject}")

    with _audit.told(note):
        yield found


@contextlib.contextmanager
def trespasses(package: str) -> Iterator[list[str]]:
    """Notes what a block does that a box would not let it do.

    These are connections; what is written, deleted or moved outside the temporary folder, where
    workspaces are; another current folder; an environment that is another one at the end. The
    last two are put back. What other packages do while they are imported is not noted: in a box
    they are there before the component.

    Args:
        package: The top-level package of whose doings notes are taken.

    Yields:
        What was done, in words, each once; complete at the end.
    """
    found: dict[str, None] = {}
    shown: list[str] = []
    free = Path(os.path.realpath(tempfile.gettempdir()))
    variables: set[str] = set()

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ENVIRONMENT and not _imports_another(package):
            variables.add(os.fsdecode(arguments[0]))
        for done in _beyond(event, arguments, free):
            if done not in found and not _imports_another(package):
                found[done] = None

    folder, environment = Path.cwd(), dict(os.environ)
    try:
        with _audit.told(note):
            yield shown
    finally:
        if Path.cwd() != folder:
            os.chdir(folder)
        # A library may set a variable for as long as it works.
        for name in sorted(variables):
            if os.environ.get(name) != environment.get(name):
                found[f"changes the environment variable {name}"] = None
                _put_back(name, environment.get(name))
        shown += found


def _put_back(name: str, value: str | None) -> None:
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value


def _beyond(event: str, arguments: tuple[Any, ...], free: Path) -> Iterator[str]:
    if event in PROCESS:
        verb, at = PROCESS[event]
        yield f"{verb} {arguments[at]}"
    elif event in PATHS and (event != "open" or arguments[2] & WRITES):
        verb, places = PATHS[event]
        for place, folder in places:
            path = _place(arguments[place], None if folder is None else arguments[folder])
            if path is not None and not _is_free(path, free, event):
                yield f"{verb} {path}"


def _place(path: Any, folder: int | None) -> Path | None:
    """Where something is; None for a descriptor, which was opened before."""
    if isinstance(path, int):
        return None
    place = Path(os.fsdecode(path))
    if folder is not None and folder >= 0:
        try:
            place = Path(f"/proc/self/fd/{folder}").readlink() / place
        except OSError:
            # Only Linux tells which folder it is.
            return None
    return Path(os.path.realpath(place))


def _is_free(path: Path, free: Path, event: str) -> bool:
    """Whether a box would let it be done, or it comes to nothing."""
    if path.is_relative_to(free) or path.is_relative_to("/dev"):
        return True
    # Python keeps what it compiled; `makedirs` asks for folders that are there.
    return "__pycache__" in path.parts or (event == "os.mkdir" and path.is_dir())


def _imports_another(package: str) -> bool:
    """Whether this happens because a module of another package is being imported."""
    frame = sys._getframe(1)  # noqa: SLF001 -- the one way to tell who does something
    while frame.f_back is not None:
        importing = frame.f_back.f_code.co_filename.startswith("<frozen importlib")
        if importing and frame.f_code.co_name == "<module>":
            name: str = frame.f_globals.get("__name__", "")
            return name.partition(".")[0] != package
        frame = frame.f_back
    return False
