"""The host's side of a box."""

from __future__ import annotations

import os
from contextlib import nullcontext

import pytest

from bdbench.api import InputError
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


def to_a_file(place):
    place.symlink_to("/etc/hostname")


def to_a_folder(place):
    place.symlink_to("/etc")


def to_nowhere(place):
    place.symlink_to("nowhere")


def pipe(place):
    os.mkfifo(place)


def listener(place):
    os.mknod(place, 0o140600)


@pytest.mark.parametrize("make", [to_a_file, to_a_folder, to_nowhere, pipe, listener])
@pytest.mark.parametrize("place", ["model", "model/deep/down"])
def test_what_misleads_the_host_is_not_taken(store, make, place):
    """The host may open what a component cannot: it must not be made to."""
    with Box(Boxes(), store.temporary, {}, [], Meter()) as box:
        path = box.folder / "out" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        with pytest.raises(InputError, match=r"a component (left something|did not leave)"):
            box.left("model")


def test_plain_files_are_taken(store):
    with Box(Boxes(), store.temporary, {}, [], Meter()) as box:
        (box.folder / "out" / "model" / "deep").mkdir(parents=True)
        (box.folder / "out" / "model" / "deep" / "file").write_text("x")
        assert (box.left("model") / "deep" / "file").read_text() == "x"


def test_a_box_of_the_dead_is_swept_away(store):
    (store.temporary / "box-0123" / "in").mkdir(parents=True)
    store.sweep()
    assert list(store.temporary.iterdir()) == []
