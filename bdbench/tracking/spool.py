"""The spool: results on their way to MLflow, safe on disk before anything is sent.

Layout below ``<home>/spool``, with one folder for each `Destination`::

    pending/<destination>/<time>-<key>-<digest>.json   not published yet; names sort by age
    published/<destination>/<key>.json                 a small mark: what was published, and where

A file appears whole or not at all (written aside, fsynced, renamed). The key names *what* an
item is about, the digest *what it says*: an item that says the same as what is published or
pending is not written again, one that says something else replaces it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bdbench.home import Home
from bdbench.tracking.destination import Destination, own_database

__all__ = ["Item", "Kind", "Spool", "digest_of", "key_of"]

Kind = Literal["cell", "run"]

LAYOUT = 1
"""Raise it when runs are laid out differently in MLflow: everything is then published anew."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to publish.

    Attributes:
        kind: ``cell`` (the body is a cell's record) or ``run`` (the body has the run's
            ``status`` and ``files``, the texts of its leaderboard by file name).
        key: What it is about; see `key_of`.
        digest: What it says; see `digest_of`.
        suite: The suite's name.
        run_id: The bdbench run that brought it.
        at_ms: When it was spooled, in milliseconds since 1970. Published times derive from it,
            so that publishing the same item twice writes the same numbers.
        body: The data itself.
    """

    kind: Kind
    key: str
    digest: str
    suite: str
    run_id: str
    at_ms: int
    body: Mapping[str, Any]


def key_of(*parts: str) -> str:
    """The identity of something that is published, safe as a file name and in a query."""
    text = json.dumps(parts, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_of(body: Mapping[str, Any]) -> str:
    """The identity of what is said: equal data has an equal digest."""
    text = json.dumps([LAYOUT, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Spool:
    """The spool of one home for one destination. Any number of processes may use it at once."""

    def __init__(self, home: Home, destination: Destination) -> None:
        self._home = home
        self._destination = destination
        self._pending = home.spool / "pending" / destination.name
        self._published = home.spool / "published" / destination.name

    def put(
        self,
        kind: Kind,
        key: str,
        body: Mapping[str, Any],
        *,
        suite: str,
        run_id: str,
        digest: str | None = None,
    ) -> bool:
        """Writes an item down, unless the same is pending or published.

        Args:
            kind: What it is.
            key: What it is about.
            body: What it says, as JSON data.
            suite: The suite's name.
            run_id: The bdbench run that brings it.
            digest: What counts as saying the same, if not the whole body.

        Returns:
            Whether there is now something new to publish.
        """
        digest = digest or digest_of(body)
        older = [path for path in self.pending() if path.name.split("-")[1] == key]
        if any(path.stem.endswith(f"-{digest}") for path in older):
            return False
        if not older and self._mark(key).get("digest") == digest:
            return False
        now = time.time_ns()
        item = {
            "kind": kind,
            "key": key,
            "digest": digest,
            "suite": suite,
            "run_id": run_id,
            "at_ms": now // 1_000_000,
            "destination": self._destination.shown,
            "body": dict(body),
        }
        _write(self._pending / f"{now:020d}-{key}-{digest}.json", item)
        for path in older:  # a newer word on the same thing
            path.unlink(missing_ok=True)
        return True

    def pending(self) -> list[Path]:
        """The files that wait, oldest first."""
        return sorted(self._pending.glob("*-*-*.json"))

    def read(self, path: Path) -> Item:
        """An item that waits.

        Raises:
            FileNotFoundError: If it was published or replaced meanwhile.
            ValueError: If the file is not an item.
        """
        data = json.loads(path.read_bytes())
        try:
            return Item(**{name: data[name] for name in Item.__slots__})
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path.name} is not an item of the spool") from error

    def done(self, path: Path, item: Item, tracked: str) -> None:
        """Marks an item as published in the MLflow run `tracked` and takes it off the spool."""
        mark = {
            "digest": item.digest,
            "kind": item.kind,
            "suite": item.suite,
            "destination": self._destination.shown,
            "mlflow_run_id": tracked,
        }
        _write(self._published / f"{item.key}.json", mark)
        path.unlink(missing_ok=True)

    def forget_lost_database(self) -> None:
        """Drops the marks of the home's own database if that database is gone."""
        if self._destination.own and not own_database(self._home).exists():
            shutil.rmtree(self._published, ignore_errors=True)

    def _mark(self, key: str) -> dict[str, Any]:
        try:
            mark = json.loads((self._published / f"{key}.json").read_bytes())
        except (FileNotFoundError, ValueError):  # publishing again is harmless: it is idempotent
            return {}
        return mark if isinstance(mark, dict) else {}


def _write(path: Path, data: Mapping[str, Any]) -> None:
    """Puts a whole file in place, on the disk before it gets its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
