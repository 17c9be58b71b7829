"""Objects are removed on demand only, whole, and never under somebody's hands."""

from __future__ import annotations

import hashlib

import pytest
from filelock import FileLock

from bdbench.store.objects import CorruptObjectError

KEY = hashlib.sha256(b"one").hexdigest()


def make(folder):
    (folder / "rows.bin").write_bytes(b"0123456789")
    (folder / "more").mkdir()
    (folder / "more" / "rows.bin").write_bytes(b"0123456789")
    return {}


def test_an_object_tells_what_it_takes(store):
    store.ensure("data", KEY, make)
    kind, size, made = store.room(KEY)
    manifest = store.path(KEY) / "manifest.json"
    assert (kind, size) == ("data", 20 + manifest.stat().st_size)
    assert made == manifest.stat().st_mtime


def test_what_is_removed_can_be_made_again(store):
    store.ensure("data", KEY, make)
    assert store.remove(KEY)
    assert not store.contains(KEY)
    assert list(store.temporary.iterdir()) == []
    with pytest.raises(CorruptObjectError):
        store.open(KEY)
    assert store.ensure("data", KEY, make).key == KEY


def test_what_somebody_is_at_work_on_stays(store):
    store.ensure("data", KEY, make)
    with FileLock(store.root / "locks" / f"{KEY}.lock"):
        assert not store.remove(KEY)
    assert store.open(KEY).kind == "data"


def test_what_was_set_aside_is_counted_and_goes(store):
    store.ensure("data", KEY, make)
    (store.files(KEY) / "rows.bin").write_bytes(b"damaged")
    with pytest.raises(CorruptObjectError):
        store.open(KEY)
    count, size = store.quarantined()
    assert count == 1
    assert size > 17  # what is left of it, and its manifest
    store.empty_quarantine()
    assert store.quarantined() == (0, 0)
