"""What counts as reaching beyond one's files: attempts, by this package, at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from bdbench.testing.audit import effects, trespasses

NOWHERE = Path("/no-such-folder")


def beyond(act, package="some_package"):
    with trespasses(package) as found, contextlib.suppress(OSError):
        act()
    return found


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda: (NOWHERE / "x").write_text(""), "writes /no-such-folder/x"),
        (lambda: os.open(NOWHERE / "x", os.O_CREAT | os.O_WRONLY), "writes /no-such-folder/x"),
        (lambda: (NOWHERE / "x").open("r+b"), "writes /no-such-folder/x"),
        (NOWHERE.mkdir, "writes /no-such-folder"),
        (NOWHERE.rmdir, "deletes /no-such-folder"),
        ((NOWHERE / "x").unlink, "deletes /no-such-folder/x"),
        (lambda: os.truncate(NOWHERE, 0), "writes /no-such-folder"),
        (lambda: NOWHERE.chmod(0), "changes /no-such-folder"),
        (lambda: (NOWHERE / "x").symlink_to("y"), "writes /no-such-folder/x"),
        (lambda: (NOWHERE / "x").hardlink_to("y"), "writes /no-such-folder/x"),
        (lambda: os.chdir("/"), "changes the current folder to /"),
        (lambda: socket.getaddrinfo("localhost", 1), "looks up localhost"),
        (
            lambda: socket.socket().connect_ex(("127.0.0.1", 9)),
            "connects to ('127.0.0.1', 9)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_beyond_is_noted_even_if_it_fails(act, found):
    before = Path.cwd()
    assert beyond(act) == [found]
    assert Path.cwd() == before


def test_reading_and_what_lies_in_the_temporary_folder_is_free(tmp_path):
    def act():
        Path(__file__).read_text("utf-8")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "deep" / "deeper").mkdir(parents=True)
            (Path(folder) / "deep" / "x").write_text("1")
            Path(folder, "deep", "x").rename(Path(folder, "y"))
            # This one deletes by descriptors of folders.
            shutil.rmtree(Path(folder, "deep"))
        Path(os.devnull).write_text("")
        Path.home().mkdir(exist_ok=True)

    assert beyond(act) == []


def test_out_of_the_temporary_folder_leads_a_link_too(tmp_path):
    (tmp_path / "link").symlink_to(NOWHERE)

    assert beyond(lambda: (tmp_path / "link" / "x").write_text("")) == ["writes /no-such-folder/x"]
    assert beyond(lambda: (tmp_path / "x").rename(NOWHERE / "x")) == ["moves /no-such-folder/x"]


def test_a_folder_by_its_descriptor_is_found(tmp_path):
    folder = os.open("/", os.O_RDONLY)
    try:
        found = beyond(lambda: os.unlink("no-such-file", dir_fd=folder))
    finally:
        os.close(folder)
    assert found == ["deletes /no-such-file"]


def test_the_environment_is_held_against_what_it_was_and_put_back(monkeypatch):
    monkeypatch.setenv("BDBENCH_THERE", "1")
    monkeypatch.delenv("BDBENCH_NEW", raising=False)

    def act():
        os.environ["BDBENCH_NEW"] = "1"
        del os.environ["BDBENCH_THERE"]

    def act_and_undo():
        before = dict(os.environ)
        act()
        os.environ.update(before)
        del os.environ["BDBENCH_NEW"]

    assert beyond(act) == [
        "changes the environment variable BDBENCH_NEW",
        "changes the environment variable BDBENCH_THERE",
    ]
    assert os.environ["BDBENCH_THERE"] == "1"
    assert "BDBENCH_NEW" not in os.environ
    assert beyond(act_and_undo) == []


@pytest.mark.parametrize(("package", "found"), [("its_own", 1), ("another", 0)])
def test_imports_of_other_packages_are_their_own_doing(tmp_path, monkeypatch, package, found):
    (tmp_path / "its_own.py").write_text("import os\nos.environ['BDBENCH_IMPORTED'] = '1'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "its_own", raising=False)

    def act():
        import its_own  # noqa: F401

    assert len(beyond(act, package)) == found
    monkeypatch.delitem(sys.modules, "its_own")
    monkeypatch.delenv("BDBENCH_IMPORTED", raising=False)


def test_outside_of_blocks_nothing_is_noted():
    with trespasses("some_package") as first:
        pass
    with effects() as touched, contextlib.suppress(OSError):
        (NOWHERE / "x").read_text("utf-8")
    with contextlib.suppress(OSError):
        (NOWHERE / "x").write_text("")

    assert first == []
    assert touched == ["open /no-such-folder/x"]
