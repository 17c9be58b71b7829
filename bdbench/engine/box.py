"""A box: how the host and a component, which acts in a process of its own, speak.

A box is a folder. What the component may see is put under ``in/``, what it leaves is taken from
``out/``, and questions and answers go to and fro as JSON. Where the machine can do it, the
process sees no other file (see `bdbench.execution.sandbox`): what is not put in, no component
can find, whatever it tries. So nothing goes in here that its role may not know: no keys, no
labels of test rows to a defense, no mask.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Protocol, Self

import pyarrow as pa

from bdbench.api import Checkpoint, Examples, InputError
from bdbench.engine.meter import Meter
from bdbench.engine.rows import read_examples, write_examples
from bdbench.results.records import Cost
from bdbench.store.scratch import scratch

__all__ = ["IN", "OUT", "TMP", "Box", "BoxError", "Boxes", "Session"]

IN, OUT, TMP = "in", "out", "tmp"
ROWS = "rows.parquet"
CODE = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py", ".pyc", ".so"}
"""Suffixes of files that run code when they are loaded, or are code."""


class BoxError(Exception):
    """A component crashed or was stopped; `error` is what is known of it, as plain data."""

    def __init__(self, error: Mapping[str, str]) -> None:
        super().__init__(error.get("what", ""))
        self.error = dict(error)


class Session(Protocol):
    """A process in which one component acts.

    Attributes:
        used: Once it ended, what the kernel counted of it and of all that it started:
            ``cpu_seconds`` and, if it lived long enough to be looked at, ``peak_memory_mib``.
            Empty where it is no process of its own.
    """

    used: Mapping[str, float]

    def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to a question, both plain data.

        Raises:
            BdbenchError: The component raised it.
            BoxError: The component crashed or was stopped.
        """
        ...

    def end(self) -> None:
        """Ends the process and all that it started; when this returns, they are gone."""
        ...


class Boxes(Protocol):
    """Starts processes for components.

    Attributes:
        isolation: How well they are kept apart, as it stands in records.
    """

    isolation: str

    def open(self, folder: Path, readable: Sequence[Path]) -> AbstractContextManager[Session]:
        """A process that sees a box and, to read, the paths that its settings name."""
        ...


class Box:
    """The host's side of a box; a context manager.

    Args:
        boxes: Starts the process.
        parent: Where the folder is made, under a name that tells nothing.
        setting: What the component's side works with, as plain data.
        readable: The files and folders that the component's settings name.
        meter: Counts what the component uses.
    """

    def __init__(
        self,
        boxes: Boxes,
        parent: Path,
        setting: Mapping[str, Any],
        readable: Sequence[Path],
        meter: Meter,
    ) -> None:
        self._boxes = boxes
        self._parent = parent
        self._setting = setting
        self._readable = readable
        self._meter = meter
        self._open = ExitStack()
        self._cost = Cost()

    def __enter__(self) -> Self:
        """Makes the folder and starts the process."""
        with ExitStack() as stack:
            self.folder = stack.enter_context(scratch(self._parent, "box-"))
            for part in (IN, OUT, TMP):
                (self.folder / part).mkdir()
            self._session = stack.enter_context(self._boxes.open(self.folder, self._readable))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the process, counts what it used, and removes the folder."""
        self._session.end()
        counted = dict(self._session.used)
        counted["peak_memory_mib"] = max(
            self._cost.peak_memory_mib, counted.get("peak_memory_mib", 0.0)
        )
        # What it says of itself leaves out the processes that it started.
        self._meter.add(self._cost.model_copy(update=counted))
        self._open.close()

    def show(self, name: str, source: Path, *files: str, besides: str = "") -> None:
        """Shows a folder under a name, once: all of its files, only some, or all besides some.

        Files are copied: a link would tell when the original was made, and lead to it.
        """
        target = self.folder / IN / name
        if target.exists():
            return
        wanted = [source / file for file in files] if files else _files(source)
        hidden = set(source.glob(besides)) if besides else set()
        for path in wanted:
            if path in hidden:
                continue
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)

    def show_rows(self, name: str, rows: Examples) -> None:
        """Shows rows under a name."""
        folder = self.folder / IN / name
        folder.mkdir(parents=True)
        write_examples(rows, folder / ROWS)

    def ask(self, do: str, **arguments: Any) -> Mapping[str, Any]:
        """Lets the component act.

        Args:
            do: What: a name of `bdbench.engine.boxed.ACTS`.
            **arguments: Plain data.

        Returns:
            What it answered, as plain data.
        """
        answer = self._session.ask({"do": do, "setting": self._setting, "with": arguments})
        self._cost = Cost.model_validate(answer["cost"])
        found: Mapping[str, Any] = answer["result"]
        return found

    def rows(self, name: str) -> Examples:
        """Rows that the component left under a name; it may still be at work.

        Raises:
            InputError: They are not there, or in something that is not a plain file.
        """
        return read_examples(pa.BufferReader(_read(self.folder / OUT, name, ROWS)))

    def left(self, name: str) -> Path:
        """A folder that the component left under a name, looked through once its process is gone.

        Raises:
            InputError: It is not there, or holds what is not a plain file.
        """
        # While it lives, it could put a link in the place of what was looked at.
        self._session.end()
        folder = self.folder / OUT / name
        _look_through(folder, self.folder / OUT)
        return folder

    def take_checkpoint(self, name: str, label: str, folder: Path) -> Checkpoint:
        """Moves a model that the component left to a folder of the host's.

        Raises:
            InputError: There is none, or it holds more than data.
        """
        source = self.left(name)
        code = [path.name for path in _files(source) if path.suffix in CODE]
        if code:
            raise InputError(
                "a model holds files that could run code",
                where=label,
                found=", ".join(code),
                expected="safetensors, and JSON or text beside them",
                next="tell the plugin's authors",
            )
        source.rename(folder)
        return Checkpoint(folder)


def _read(out: Path, name: str, file: str) -> bytes:
    """A plain file's content, whatever a component does meanwhile: no link is followed."""
    opened = [os.open(out, os.O_DIRECTORY | os.O_NOFOLLOW)]
    try:
        opened.append(os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        # Opening a pipe would otherwise wait for its writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        opened.append(os.open(file, flags, dir_fd=opened[-1]))
        found = "" if stat.S_ISREG(os.fstat(opened[-1]).st_mode) else "something else"
        with os.fdopen(opened.pop(), "rb") as stream:
            content = b"" if found else stream.read()
    except OSError as error:
        found, content = error.strerror or str(error), b""
    finally:
        for descriptor in opened:
            os.close(descriptor)
    if found:
        raise InputError(
            "a component did not leave the rows that it was asked for",
            where=f"{name}/{file}",
            found=found,
            expected="a plain file",
            next="tell the plugin's authors",
        )
    return content


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _look_through(folder: Path, out: Path) -> None:
    """Refuses links and other things by which a component could point outside its box."""
    inside = folder.parent.resolve().is_relative_to(out.resolve())
    places = [folder, *folder.rglob("*")] if inside and folder.is_dir() else []
    for path in places:
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError(
                "a component left something that is not a plain file",
                where=path.relative_to(out).as_posix(),
                expected="files and folders",
                next="tell the plugin's authors",
            )
    if not places:
        raise InputError(
            "a component did not leave what it was asked for",
            where=folder.name,
            found="no such folder",
            expected="a folder below its workspace",
            next="tell the plugin's authors",
        )
