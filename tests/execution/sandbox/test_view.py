"""What is shown and what is hidden, as a list and from inside."""

from __future__ import annotations

import json
import os
import site
import sys
import types
from pathlib import Path

import pytest

from bdbench.execution.sandbox import Jail, root, visible
from bdbench.execution.sandbox.visible import installation, view


@pytest.fixture
def tree(tmp_path):
    """A project with an environment, a home of results in it, and an editable install."""
    top = tmp_path / "project"
    for name in ("data/deep/kept/x", "data/y", "results/z", "src/mine/__init__.py", "suite.yaml"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    for name in ("src/single.py", "src/rows.parquet", "src/mine-1.0.dist-info/METADATA", "src/d/e"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    return top


def walk(folder):
    for place, folders, files in os.walk(folder):
        folders.sort()
        yield from (str(Path(place, name)) for name in sorted(files))


@pytest.fixture
def jail_of(tmp_path):
    def make(**options):
        made = Jail(tmp_path / "q1" / "box", **options)
        made.create()
        return made

    return make


# --- inside -------------------------------------------------------------------------------------


def test_what_is_readable_is_seen_and_what_is_masked_is_not(inside, walled, tree, jail_of):
    jail = jail_of(readable=(tree,), masked=(tree / "results", tree / "suite.yaml"))

    def probe(box):
        found = [Path(path).read_text() for path in walk(tree / "data")]
        for name in ("results/z", "suite.yaml"):
            try:
                found.append((tree / name).read_text())
            except OSError:
                continue
        return found

    found = inside.result(walled, probe, jail=jail)
    assert [item for item in found if item] == ["data/y", "data/deep/kept/x"]


def test_the_deeper_decides(inside, walled, tree, jail_of):
    jail = jail_of(readable=(tree, tree / "data" / "deep" / "kept"), masked=(tree / "data",))

    def probe(box):
        def readable(name):
            try:
                return (tree / name).read_text()
            except OSError:
                return "no"

        return [readable(name) for name in ("data/deep/kept/x", "data/y", "suite.yaml")]

    assert inside.result(walled, probe, jail=jail) == ["data/deep/kept/x", "no", "suite.yaml"]


def test_a_mask_cannot_be_filled(inside, namespace, tree, jail_of):
    jail = jail_of(readable=(tree,), masked=(tree / "results",))

    def probe(box):
        try:
            (tree / "results" / "new").write_text("x")
        except OSError as error:
            return [error.errno, list(walk(tree / "results"))]

    assert inside.result(namespace, probe, jail=jail) == [30, []]


def test_a_mask_holds_by_any_name(inside, walled, tree, jail_of, tmp_path):
    (tmp_path / "alias").symlink_to(tree)
    jail = jail_of(readable=(tmp_path / "alias",), masked=(tree / "results",))

    def probe(box):
        found = []
        for top in (tmp_path / "alias", tree):
            for name in ("results/z", "data/y"):
                try:
                    found.append((top / name).read_text())
                except OSError:
                    found.append("no")
        return found

    assert inside.result(walled, probe, jail=jail) == ["no", "data/y"] * 2


def test_only_packages_of_an_editable_install_are_seen(inside, walled, tree, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tree / "src")])

    def probe(box):
        import mine  # noqa: F401
        import single  # noqa: F401

        found = []
        for name in ("suite.yaml", "src/rows.parquet", "src/d/e", "src/single.py"):
            try:
                found.append((tree / name).read_text())
            except OSError:
                found.append("no")
        return found

    for name in ("mine/__init__.py", "single.py"):
        (tree / "src" / name).write_text("")
    assert inside.result(walled, probe) == ["no", "no", "no", ""]


def test_read_only_without_the_newer_call(inside, namespace, tree, jail_of, monkeypatch):
    """Kernels before 5.12 have no mount_setattr."""

    def absent(name, *_):
        raise OSError(38, name)

    monkeypatch.setattr(root, "syscall", absent)
    (tree / "data" / "a b\\c").mkdir()
    jail = jail_of(readable=(tree, tree / "data" / "a b\\c"), masked=(tree / "results",))
    (jail.folder / "in" / "given").touch()

    def probe(box):
        kept = []
        for place in (tree, tree / "data" / "a b\\c", Path("/usr"), Path("/etc"), box / "in"):
            try:
                (place / "new").touch()
            except OSError as error:
                kept.append(error.errno)
        (box / "out" / "made").touch()
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        writable = sorted(line.split()[4] for line in lines if "rw" in line.split()[5].split(","))
        return [kept, [name for name in writable if not name.startswith("/dev/")]]

    kept, writable = inside.result(namespace, probe, jail=jail)
    assert kept == [30] * 5
    assert writable == ["/box/out", "/box/tmp"]


def test_nothing_else_can_be_written(inside, namespace):
    def probe(box):
        lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return sorted(fields[4] for fields in lines if "rw" in fields[5].split(","))

    nodes = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")}
    writable = set(inside.result(namespace, probe)) - nodes
    assert {name for name in writable if "nvidia" not in name and "dri" not in name} == {
        "/box/out",
        "/box/tmp",
        "/dev/shm",  # noqa: S108
    }


def test_names_of_the_host_do_not_show(inside, namespace, jail):
    """Its own folder's name is in the list of mounts, which is why that is random."""

    def probe(box):
        return [os.uname().nodename, str(Path("/proc/self/cwd").readlink())]

    name, here = inside.result(namespace, probe)
    assert (name, here) == ("box", "/box")


# --- the list -----------------------------------------------------------------------------------


def test_the_installation_is_complete_and_exists():
    found = installation()
    assert all(path.is_absolute() and path.exists() for path in found)
    shown = view(found, ()).shown
    for module in (json, pytest, types):
        file = Path(module.__file__).resolve()
        assert any(file.is_relative_to(path) for path in shown), file
    executable = Path(sys.executable).resolve()
    assert any(executable.is_relative_to(path) for path in shown)


def test_an_environment_in_a_project_does_not_show_the_project(tmp_path, monkeypatch):
    for name in ("bin/python", "lib/x", "suite.yaml", "pyvenv.cfg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    visible._installation.cache_clear()
    found = [path.name for path in installation() if path.is_relative_to(tmp_path)]
    visible._installation.cache_clear()
    assert found == ["bin", "lib", "pyvenv.cfg"]


def test_finders_of_editable_installs_are_asked(tree, monkeypatch):
    module = types.ModuleType("__editable___mine_finder")
    module.MAPPING = {"d": str(tree / "src" / "d"), "gone": str(tree / "gone")}
    finder = type("Finder", (), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    assert tree / "src" / "d" in installation()
    assert tree / "gone" not in installation()


def test_the_current_folder_and_user_packages(tree, monkeypatch):
    own = tree / "lib" / "site-packages"
    own.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", ["", "src", str(own), str(tree / "none")])
    below = [path for path in installation() if path.is_relative_to(tree)]
    assert below == [own]


def test_folders_of_libraries_are_shown(tree, monkeypatch):
    (tree / "lib").mkdir()
    (tree / "lib" / "libmine.so.1").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tree}:{tree / 'lib'}::data")
    visible._installation.cache_clear()
    below = [path for path in installation() if path.is_relative_to(tree)]
    visible._installation.cache_clear()
    assert below == [tree / "lib"]


def test_view_puts_names_together(tree):
    (tree / "alias").symlink_to("data")
    made = view([tree / "alias" / "deep", tree / "data", tree / "results"], [tree / "results"])
    assert made.shown == (tree / "data",)
    assert made.hidden == (tree / "results",)
    assert made.links == {tree / "alias" / "deep": tree / "data" / "deep"}


def test_pieces_leave_out_what_is_hidden(tree):
    (tree / "link").symlink_to("results")
    made = view([tree, tree / "data" / "deep" / "kept"], [tree / "results", tree / "data" / "deep"])
    pieces = {path.relative_to(tree).as_posix() for path in made.pieces()}
    assert pieces == {"data/deep/kept", "data/y", "src", "suite.yaml"}


def test_site_of_this_installation_is_whole():
    folder = Path(site.getsitepackages()[0]).resolve()
    pieces = list(view(installation(), ()).pieces())
    assert any(folder.is_relative_to(path) for path in pieces)
