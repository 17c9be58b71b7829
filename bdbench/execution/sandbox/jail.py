"""What a worker is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bdbench.api.errors import InputError, StoreError
from bdbench.execution.sandbox.kinds import Isolation
from bdbench.execution.sandbox.visible import View, devices, installation, view

__all__ = ["Jail"]

_PARTS = ("in", "out", "tmp")


@dataclass(frozen=True, slots=True)
class Jail:
    """The folder of one worker, and what else it may see besides Python's installation.

    The folder holds ``in/`` (the worker only reads it, and sees what the host adds to it while
    the worker runs), ``out/``, ``tmp/`` (HOME and TMPDIR too) and ``log``, what the worker
    prints. The folder's own name should be random: a worker that is kept in by Landlock lies
    there, and any can read it in its list of mounts.

    Attributes:
        folder: Where it lies, absolute.
        readable: Further files and folders that the worker may read, where they are.
        masked: What stays invisible even if it lies below what is readable: bdbench's home, the
            store. What is readable below what is masked stays readable.
        devices: Device files that may be used; None for the accelerators of this machine.
    """

    folder: Path
    readable: tuple[Path, ...] = ()
    masked: tuple[Path, ...] = ()
    devices: tuple[Path, ...] | None = None

    @property
    def log(self) -> Path:
        """What the worker printed; the worker cannot read it, unless it is a mere process."""
        return self.folder / "log"

    def create(self) -> None:
        """Makes the folders.

        Raises:
            StoreError: They cannot be made.
        """
        try:
            for name in _PARTS:
                (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                "the folder of a worker cannot be made",
                where=str(self.folder),
                found=error.strerror or str(error),
                expected="a place that this user may write to",
                next="choose another place with --home or BDBENCH_HOME",
            ) from error

    def check(self) -> None:
        """Refuses what could not be shown.

        Raises:
            InputError: A folder or a readable path is not there, or is not absolute.
        """
        for path in self._needed():
            if not path.is_absolute() or not path.exists():
                raise InputError(
                    "a worker is to be given something that is not there",
                    where=str(path),
                    found="nothing" if path.is_absolute() else "a relative path",
                    expected="an absolute path to something that exists",
                    next="check the path, or call Jail.create() first",
                )

    def _needed(self) -> Iterator[Path]:
        yield from (self.folder / name for name in _PARTS)
        yield from self.readable
        yield from self.devices or ()

    def view(self) -> View:
        """What can be seen beside the folder and the devices."""
        return view([*installation(), *self.readable], self.masked)

    def device_files(self) -> tuple[Path, ...]:
        """The devices, found if none were named."""
        return devices() if self.devices is None else self.devices

    def box(self, kind: Isolation) -> Path:
        """Where a worker of that kind finds in/, out/ and tmp/; it starts there."""
        return Path("/box") if kind is Isolation.NAMESPACE else self.folder
