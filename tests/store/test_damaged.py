"""What is not what its manifest says is put aside, and is made again."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from bdbench.store.objects import CorruptObjectError

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
