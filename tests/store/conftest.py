"""A store of a test's own."""

from __future__ import annotations

import pytest

from bdbench.store import objects
from bdbench.store.objects import Store


@pytest.fixture
def flushed(monkeypatch):
    """What was flushed to disk, in order; not really, since that takes most of the time."""
    flushed = []
    monkeypatch.setattr(objects, "_fsync", flushed.append)
    return flushed


@pytest.fixture
def store(tmp_path, flushed):
    return Store(tmp_path / "store")
