"""An object in the store is whole and what its manifest says, or it is not used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bdbench.api import StoreError
from bdbench.store import objects
from bdbench.store.objects import CorruptObjectError, Store

KEY = hashlib.sha256(b"one").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
META = {"notes": {"rows": 3}, "cost": {}}


@pytest.fixture
def flushed(monkeypatch):
    """What was flushed to disk, in order; not really, since that takes most of the time."""
    flushed = []
    monkeypatch.setattr(objects, "_fsync", flushed.append)
    return flushed


@pytest.fixture
def store(tmp_path, flushed):
    return Store(tmp_path / "store")


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


# --- damage -------------------------------------------------------------------------------------


def _edit_manifest(change):
    def damage(folder):
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text("utf-8"))
        change(manifest)
        path.write_text(json.dumps(manifest), "utf-8")

    return damage


def _write(name, data):
    return lambda folder: (folder / name).write_bytes(data)


DAMAGE = {
    "changed byte": _write("files/rows.bin", b"012345678x"),
    "truncated": _write("files/rows.bin", b"012345678"),
    "emptied": _write("files/rows.bin", b""),
    "longer": _write("files/rows.bin", b"0123456789x"),
    "empty file filled": _write("files/empty", b"x"),
    "missing file": lambda folder: (folder / "files" / "rows.bin").unlink(),
    "missing deep file": lambda folder: (folder / "files/deep/er/ü.json").unlink(),
    "missing folder": lambda folder: shutil.rmtree(folder / "files"),
    "extra file": _write("files/extra", b""),
    "extra deep file": _write("files/deep/extra", b"x"),
    "missing manifest": lambda folder: (folder / "manifest.json").unlink(),
    "empty manifest": _write("manifest.json", b""),
    "half a manifest": _write("manifest.json", b'{"schema": 1, "ke'),
    "binary manifest": _write("manifest.json", b"\xff\xfe\x00"),
    "list as manifest": _write("manifest.json", b"[]"),
    "text as manifest": _write("manifest.json", b'"words"'),
    "manifest of nothing": _write("manifest.json", b"{}"),
    "manifest without files": _edit_manifest(lambda manifest: manifest.pop("files")),
    "manifest without meta": _edit_manifest(lambda manifest: manifest.pop("meta")),
    "manifest without kind": _edit_manifest(lambda manifest: manifest.pop("kind")),
    "files are a list": _edit_manifest(lambda manifest: manifest.update(files=["rows.bin"])),
    "file without digest": _edit_manifest(lambda manifest: manifest["files"]["empty"].clear()),
    "another's manifest": _edit_manifest(lambda manifest: manifest.update(key=OTHER)),
    "a later schema": _edit_manifest(lambda manifest: manifest.update(schema=2)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_object_is_put_aside_and_made_again(store, damage):
    store.ensure("data", KEY, make)
    damage(store.path(KEY))
    left = below(store.path(KEY))

    with pytest.raises(CorruptObjectError):
        store.open(KEY)

    assert not store.contains(KEY)
    assert store.keys() == set()
    # Nothing of it is lost, and the reason stands beside it.
    (aside,) = (path for path in (store.root / "quarantine").iterdir() if path.is_dir())
    assert aside.name.startswith(KEY)
    assert below(aside) == left
    assert aside.with_name(f"{aside.name}.why.txt").read_text("utf-8").strip()

    assert store.ensure("data", KEY, make) == store.open(KEY)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_ensure_never_gives_a_damaged_object(store, damage):
    store.ensure("data", KEY, make)
    damage(store.path(KEY))

    try:
        store.ensure("data", KEY, make)
    except CorruptObjectError:
        store.ensure("data", KEY, make)

    assert (store.open(KEY).folder / "rows.bin").read_bytes() == b"0123456789"
    assert len(list((store.root / "quarantine").glob("*.why.txt"))) == 1


def test_the_message_says_what_was_found_and_what_to_do(store):
    store.ensure("data", KEY, make)
    _write("files/rows.bin", b"012345678x")(store.path(KEY))

    with pytest.raises(CorruptObjectError) as caught:
        store.open(KEY)

    assert caught.value.where == str(store.path(KEY))
    assert caught.value.found == "rows.bin does not have the sha256 of the manifest"
    assert "again" in caught.value.next
    assert "quarantine" in caught.value.next


def test_damage_to_one_object_leaves_others_alone(store):
    store.ensure("data", KEY, make)
    store.ensure("data", OTHER, make)
    DAMAGE["truncated"](store.path(KEY))

    with pytest.raises(CorruptObjectError):
        store.open(KEY)

    assert store.open(OTHER).meta == META


def test_an_object_that_is_not_there_is_not_put_aside(store):
    store.ensure("data", OTHER, make)

    with pytest.raises(CorruptObjectError):
        store.open(KEY)

    assert not (store.root / "quarantine").exists()


def test_the_same_object_can_be_damaged_twice(store):
    for _ in range(2):
        store.ensure("data", KEY, make)
        DAMAGE["truncated"](store.path(KEY))
        with pytest.raises(CorruptObjectError):
            store.open(KEY)

    assert len(list((store.root / "quarantine").glob("*.why.txt"))) == 2


def test_what_has_no_manifest_is_no_object(store):
    store.ensure("data", KEY, make)
    DAMAGE["missing manifest"](store.path(KEY))

    assert not store.contains(KEY)
    assert store.keys() == set()


def test_foreign_files_beside_the_objects_are_passed_over(store):
    store.ensure("data", KEY, make)
    (store.root / "objects" / ".DS_Store").touch()
    (store.root / "objects" / KEY[:2] / "notes.txt").touch()

    assert store.keys() == {KEY}


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
