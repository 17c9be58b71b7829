"""An object in the store is whole and what its manifest says, or it is not used."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bdbench.api import StoreError
from bdbench.store.objects import CorruptObjectError, Store

KEY = hashlib.sha256(b"one").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
META = {"notes": {"rows": 3}, "cost": {}}


def make(folder):
    (folder / "rows.bin").write_bytes(b"0123456789")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "ü.json").write_text("{}", "utf-8")
    (folder / "empty").touch()
    return META


def refuse(folder):
    raise AssertionError("made again")


def below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# --- round trip ---------------------------------------------------------------------------------


def test_what_was_made_is_given_and_not_made_again(store):
    made = store.ensure("data", KEY, make)
    again = store.ensure("data", KEY, refuse)
    opened = store.open(KEY)

    assert made == again == opened
    assert (made.key, made.kind, made.meta) == (KEY, "data", META)
    assert below(opened.folder) == {"rows.bin", "deep/er/ü.json", "empty"}
    assert (opened.folder / "rows.bin").read_bytes() == b"0123456789"


def test_naming_a_store_makes_nothing(store):
    assert not store.contains(KEY)
    assert store.keys() == set()
    with pytest.raises(CorruptObjectError):
        store.open(KEY)
    assert not store.root.exists()


def test_keys_are_those_of_all_objects(store):
    store.ensure("data", KEY, make)
    store.ensure("data", OTHER, make)

    assert store.keys() == {KEY, OTHER}
    assert store.contains(KEY)
    assert store.contains(OTHER)
    assert not store.contains(KEY[:-1] + "x")


def test_an_object_without_files_is_an_object(store):
    store.ensure("data", KEY, lambda folder: {})

    assert store.open(KEY).meta == {}


def test_meta_data_are_read_without_the_files(store):
    folder = store.ensure("data", KEY, make).folder
    shutil.rmtree(folder)

    assert store.meta(KEY) == META


def test_nothing_temporary_is_left(store):
    store.ensure("data", KEY, make)

    assert list((store.root / "tmp").iterdir()) == []


def test_everything_is_on_disk_before_the_object_appears(store, flushed, monkeypatch):
    rename = Path.rename

    def note(path, target):
        flushed.append("appears")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", note)
    store.ensure("data", KEY, make)

    before = flushed[: flushed.index("appears")]
    names = {path.name for path in before}
    assert {"rows.bin", "ü.json", "empty", "manifest.json"} <= names
    # Then the folder that it appeared in, or the rename itself could be lost.
    assert flushed[-1] == store.path(KEY).parent


# --- what goes wrong while an object is made ------------------------------------------------------


class Boom(Exception):  # noqa: N818 -- what a component may raise
    pass


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt, SystemExit])
def test_a_failure_while_making_leaves_nothing(store, error):
    def fail(folder):
        make(folder)
        raise error

    with pytest.raises(error):
        store.ensure("data", KEY, fail)

    assert not store.contains(KEY)
    assert store.keys() == set()
    assert list((store.root / "tmp").iterdir()) == []
    assert store.ensure("data", KEY, make).meta == META


@pytest.mark.parametrize("meta", [{"x": float("nan")}, {"x": object()}])
def test_meta_data_that_are_not_plain_leave_nothing(store, meta):
    with pytest.raises((ValueError, TypeError)):
        store.ensure("data", KEY, lambda folder: meta)

    assert store.keys() == set()
    assert list((store.root / "tmp").iterdir()) == []


WRITER = """
import os, sys, time
from pathlib import Path
from bdbench.store import objects
from bdbench.store.objects import Store

root, key, side, step = sys.argv[1:]

def make(folder):
    with open(side, "a") as file:
        file.write(f"{os.getpid()}\\n")
    (folder / "first").write_bytes(b"x" * 100_000)
    if step == "making":
        print("half", flush=True)
        time.sleep(60)
    time.sleep(0.3)
    (folder / "second").write_bytes(b"y" * 100_000)
    return {"notes": {}}

if step == "publishing":
    # Dies with everything written, just before the object appears.
    def rename(self, target):
        print("half", flush=True)
        time.sleep(60)
    Path.rename = rename

Store(Path(root)).ensure("victim", key, make)
"""


def writer(store, side, step="to the end"):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.root), KEY, str(side), step],
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("step", ["making", "publishing"])
def test_a_killed_writer_leaves_no_object_and_the_next_one_makes_it(store, tmp_path, step):
    process = writer(store, tmp_path / "side", step)
    assert process.stdout.readline() == b"half\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    assert store.keys() == set()
    assert not store.contains(KEY)
    # The lock of the dead is nobody's: this would wait for ever.
    assert store.ensure("victim", KEY, make).meta == META
    assert list(store.temporary.iterdir()) != []
    store.sweep()
    assert list(store.temporary.iterdir()) == []


def test_what_somebody_works_on_is_not_swept_away(store, tmp_path):
    process = writer(store, tmp_path / "side", "making")
    assert process.stdout.readline() == b"half\n"
    (store.temporary / f"{OTHER[:16]}-gone").mkdir()
    try:
        store.sweep()
        (left,) = filter(Path.is_dir, store.temporary.iterdir())
        assert left.name.startswith(KEY[:16])
    finally:
        process.kill()
        process.wait()


def test_where_nothing_is_nothing_is_swept(store):
    store.sweep()
    assert not store.root.exists()


def test_of_several_processes_one_makes_an_object_and_all_get_it(store, tmp_path):
    side = tmp_path / "side"
    processes = [writer(store, side) for _ in range(5)]

    assert [process.wait(timeout=300) for process in processes] == [0] * 5
    assert len(side.read_text("utf-8").splitlines()) == 1
    assert below(store.open(KEY).folder) == {"first", "second"}


# --- places that cannot be written to -------------------------------------------------------------


def test_a_file_in_place_of_the_store_is_an_error_of_the_user(tmp_path):
    (tmp_path / "store").write_text("taken", "utf-8")
    store = Store(tmp_path / "store")

    with pytest.raises(StoreError) as caught:
        store.ensure("data", KEY, refuse)

    assert caught.value.where == str(tmp_path / "store")
    assert "--home" in caught.value.next
    assert (tmp_path / "store").read_text("utf-8") == "taken"


@pytest.mark.parametrize("place", ["tmp", "objects", "locks"])
def test_a_file_in_place_of_a_folder_of_the_store_is_an_error_of_the_user(store, place):
    store.root.mkdir()
    (store.root / place).write_text("taken", "utf-8")

    with pytest.raises(StoreError):
        store.ensure("data", KEY, make)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_store_is_an_error_of_the_user(store):
    store.root.mkdir()
    store.root.chmod(0o500)

    with pytest.raises(StoreError):
        store.ensure("data", KEY, refuse)


def test_an_error_of_the_maker_is_not_taken_for_one_of_the_store(store):
    def fail(folder):
        raise FileNotFoundError("weights.bin")

    with pytest.raises(FileNotFoundError):
        store.ensure("data", KEY, fail)
