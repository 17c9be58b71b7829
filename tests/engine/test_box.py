"""The host's side of a box."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from bdbench.engine.box import Box
from bdbench.engine.meter import Meter
from bdbench.store.objects import Store


class Session:
    used = {}  # noqa: RUF012 -- a protocol's attribute

    def end(self):
        """Nothing runs."""


class Boxes:
    isolation = "none"

    def open(self, folder, readable):
        return nullcontext(Session())


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_another_run_that_starts_leaves_boxes_in_use_alone(store):
    """It sweeps what dead processes left, in the same folder."""
    with Box(Boxes(), store.temporary, {}, [], Meter()) as box:
        Store(store.root).sweep()
        assert sorted(path.name for path in box.folder.iterdir()) == ["in", "out", "tmp"]
    assert list(store.temporary.iterdir()) == []


def test_a_box_of_the_dead_is_swept_away(store):
    (store.temporary / "box-0123" / "in").mkdir(parents=True)
    store.sweep()
    assert list(store.temporary.iterdir()) == []
