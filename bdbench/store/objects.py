"""The content-addressed folder that holds what stages produced. It is the truth.

An object is a folder ``objects/<first two digits>/<key>/`` with the stage's ``files/`` and a
``manifest.json`` that gives the sha256 of each. It appears by one rename, whole. Readers accept
only what the manifest proves; what it does not prove is moved to ``quarantine/`` and never trusted.
Nothing is ever deleted but on demand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bdbench.api.errors import StoreError
from bdbench.store.scratch import scratch, sweep

__all__ = ["CorruptObjectError", "Store", "StoredObject"]

MANIFEST = "manifest.json"
FILES = "files"
SCHEMA = 1


class CorruptObjectError(StoreError):
    """An object did not match its manifest; it is in quarantine and can be computed again."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A verified object.

    Attributes:
        key: Its identity.
        kind: The stage that made it.
        folder: Where its files are. Read-only.
        meta: What the stage noted: ``notes``, ``cost``, ``environment``.
    """

    key: str
    kind: str
    folder: Path
    meta: Mapping[str, Any]


class Store:
    """A store below a folder. Nothing is created before the first object is.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where an object is, or would be."""
        return self.root / "objects" / key[:2] / key

    def files(self, key: str) -> Path:
        """Where an object's files are, or would be; nothing is checked."""
        return self.path(key) / FILES

    @property
    def temporary(self) -> Path:
        """Where what is half made lies, on the same file system as the objects."""
        return self.root / "tmp"

    def contains(self, key: str) -> bool:
        """Whether there is such an object; its files are not read."""
        return (self.path(key) / MANIFEST).is_file()

    def keys(self) -> set[str]:
        """The keys of all objects; their files are not read."""
        found: set[str] = set()
        nothing = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with nothing, os.scandir(self.root / "objects") as shards:
            for shard in shards:
                if shard.is_dir():
                    with os.scandir(shard) as entries:
                        found.update(entry.name for entry in entries if self.contains(entry.name))
        return found

    def open(self, key: str) -> StoredObject:
        """The object, every file of it checked against the manifest.

        Raises:
            CorruptObjectError: It is not what its manifest says, or is not there.
        """
        folder = self.files(key)
        manifest = self._manifest(key)
        found = {path.relative_to(folder).as_posix() for path in _files_below(folder)}
        if extra := found - set(manifest["files"]):
            self._quarantine(key, f"files that are not in the manifest: {sorted(extra)}")
        for name, entry in manifest["files"].items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != entry["size"]:
                self._quarantine(key, f"{name} is missing or of another size")
            if _sha256(path) != entry["sha256"]:
                self._quarantine(key, f"{name} does not have the sha256 of the manifest")
        return StoredObject(key, manifest["kind"], folder, manifest["meta"])

    def meta(self, key: str) -> Mapping[str, Any]:
        """What the stage noted about an object, without reading its files."""
        meta: Mapping[str, Any] = self._manifest(key)["meta"]
        return meta

    def _manifest(self, key: str) -> dict[str, Any]:
        path = self.path(key) / MANIFEST
        try:
            manifest: Any = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            if self.path(key).is_dir():
                self._quarantine(key, "there is no manifest")
            raise CorruptObjectError(
                "an object is not in the store", where=str(self.path(key))
            ) from None
        except ValueError as error:
            self._quarantine(key, f"manifest: {error}")
        if not _is_manifest(manifest):
            self._quarantine(key, f"the manifest is not of schema {SCHEMA}")
        if manifest["key"] != key:
            self._quarantine(key, "another object's manifest")
        checked: dict[str, Any] = manifest
        return checked

    def _quarantine(self, key: str, why: str) -> NoReturn:
        place = self._set_aside(key, why)
        raise CorruptObjectError(
            "an object in the store does not match its manifest",
            where=str(self.path(key)),
            found=why,
            next=f"run the same command again: it is computed anew (the old one is in {place})",
        )

    def _set_aside(self, key: str, why: str) -> Path:
        place = self._quarantine_folder / f"{key}.{time.time_ns()}"
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            self.path(key).rename(place)
            (place.parent / f"{place.name}.why.txt").write_text(why + "\n", "utf-8")
        return place

    def ensure(
        self, kind: str, key: str, make: Callable[[Path], Mapping[str, Any]]
    ) -> StoredObject:
        """The object; makes it first unless it is there.

        Of several processes that ask for one key at the same time, one makes it and the
        others wait. A process that dies while making it leaves nothing behind but a temporary
        folder, until the next `sweep`.

        Args:
            kind: The stage's kind.
            key: The stage's key.
            make: Writes the files into the folder that it gets, and returns the meta data.

        Raises:
            StoreError: The store cannot be written to.
        """
        if self.contains(key):
            return self.open(key)
        with self._lock(key):
            # Another process may have made it while this one waited.
            if self.contains(key):
                return self.open(key)
            if self.path(key).exists():
                self._set_aside(key, "there is no manifest")
            with self._temporary(key) as folder:
                (folder / FILES).mkdir()
                meta = make(folder / FILES)
                self._publish(kind, key, folder, meta)
        return StoredObject(key, kind, self.files(key), meta)

    def sweep(self) -> None:
        """Removes what dead processes left half made."""
        sweep(self.temporary)

    def room(self, key: str) -> tuple[str, int, float]:
        """An object's kind, its size in bytes, and when it was made (seconds since 1970)."""
        path = self.path(key) / MANIFEST
        made = path.stat().st_mtime
        manifest = self._manifest(key)
        size = path.stat().st_size + sum(entry["size"] for entry in manifest["files"].values())
        return manifest["kind"], size, made

    def remove(self, key: str) -> bool:
        """Removes an object that nobody is making; it vanishes at once.

        Whoever needs it after all computes it anew.

        Returns:
            Whether it is gone.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 -- only writers need it

        with self._writing(), contextlib.suppress(Timeout):
            lock = self.root / "locks" / f"{key}.lock"
            with FileLock(lock, timeout=0), scratch(self.temporary, f"{key[:16]}-") as folder:
                self.path(key).rename(folder / FILES)
                return True
        return False

    def quarantined(self) -> tuple[int, int]:
        """How many objects were set aside as damaged, and how many bytes they take."""
        entries = [path for path in self._quarantine_folder.glob("*") if path.is_dir()]
        files = (path for entry in entries for path in _files_below(entry))
        return len(entries), sum(path.stat().st_size for path in files)

    def empty_quarantine(self) -> None:
        """Removes what was set aside as damaged."""
        shutil.rmtree(self._quarantine_folder, ignore_errors=True)

    @property
    def _quarantine_folder(self) -> Path:
        return self.root / "quarantine"

    @contextlib.contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        from filelock import FileLock  # noqa: PLC0415 -- only writers need it

        with self._writing():
            folder = self.root / "locks"
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{key}.lock")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _temporary(self, key: str) -> Iterator[Path]:
        with contextlib.ExitStack() as stack:
            with self._writing():
                folder = stack.enter_context(scratch(self.temporary, f"{key[:16]}-"))
            yield folder

    def _publish(self, kind: str, key: str, folder: Path, meta: Mapping[str, Any]) -> None:
        with self._writing():
            files = {}
            for path in _files_below(folder / FILES):
                name = path.relative_to(folder / FILES).as_posix()
                files[name] = {"sha256": _sha256(path), "size": path.stat().st_size}
                _fsync(path)
            manifest = {"schema": SCHEMA, "kind": kind, "key": key, "files": files, "meta": meta}
            path = folder / MANIFEST
            path.write_text(json.dumps(manifest, indent=1, allow_nan=False), "utf-8")
            _fsync(path)
            _fsync(folder)
            target = self.path(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
            folder.rename(target)
            _fsync(target.parent)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                "the store cannot be written to",
                where=str(self.root),
                found=error.strerror or str(error),
                expected="a folder on a disk with room that this user may write to",
                next="choose another place with --home or BDBENCH_HOME",
            ) from error


def _is_manifest(data: Any) -> bool:
    return (
        isinstance(data, dict)
        and data.keys() == {"schema", "kind", "key", "files", "meta"}
        and data["schema"] == SCHEMA
        and isinstance(data["meta"], dict)
        and isinstance(data["files"], dict)
        and all(
            isinstance(entry, dict) and entry.keys() == {"sha256", "size"}
            for entry in data["files"].values()
        )
    )


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
