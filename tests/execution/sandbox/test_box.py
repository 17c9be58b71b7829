"""The box of a worker: what is given in it, and what is taken from it."""

from __future__ import annotations

import mmap
import os
import threading
from contextlib import suppress
from pathlib import Path

# --- in/, out/, tmp/ ----------------------------------------------------------------------------


def test_in_is_only_read(inside, walled, jail):
    (jail.folder / "in" / "given").write_text("as it was")

    def probe(box):
        given = box / "in" / "given"
        attempts = {
            "written": lambda: given.write_text("changed"),
            "gone": given.unlink,
            "renamed": lambda: given.rename(box / "in" / "other"),
            "new": lambda: (box / "in" / "new").write_text("new"),
            "made": (box / "in" / "new").mkdir,
            "cut": lambda: os.truncate(given, 1),
            "linked": lambda: os.link(given, box / "out" / "link"),
        }
        done = []
        for name, attempt in attempts.items():
            with suppress(OSError):
                attempt()
                done.append(name)
        return [given.read_text(), done]

    assert inside.result(walled, probe) == ["as it was", []]
    assert (jail.folder / "in" / "given").read_text() == "as it was"


def test_out_and_tmp_are_written(inside, kind, jail):
    def probe(box):
        (box / "out" / "made").write_text("new")
        (Path(os.environ["TMPDIR"]) / "scratch").write_text("s")
        Path("out", "beside").write_text("relative")
        return [os.environ["HOME"] == os.environ["TMPDIR"] == str(box / "tmp")]

    assert inside.result(kind, probe) == [True]
    assert (jail.folder / "out" / "made").read_text() == "new"
    assert (jail.folder / "out" / "beside").read_text() == "relative"
    assert (jail.folder / "tmp" / "scratch").read_text() == "s"


def test_what_comes_later_is_seen(inside, kind, jail):
    later = jail.folder / "in" / "later"

    def add():
        while not (jail.folder / "out" / "asked").exists():
            threading.Event().wait(0.01)
        (jail.folder / "in" / "part").write_text("given on asking")
        (jail.folder / "in" / "part").rename(later)

    def probe(box):
        before = (box / "in" / "later").exists()
        (box / "out" / "asked").touch()
        for _ in range(1000):
            if (box / "in" / "later").exists():
                return [before, (box / "in" / "later").read_text()]
            threading.Event().wait(0.01)
        return "never"

    helper = os.fork()
    if helper == 0:
        add()
        os._exit(0)
    assert inside.result(kind, probe) == [False, "given on asking"]
    os.waitpid(helper, 0)


def test_a_map_of_a_given_file_cannot_be_written(inside, walled, jail):
    (jail.folder / "in" / "given").write_bytes(b"x" * 4096)

    def probe(box):
        with (box / "in" / "given").open("rb") as file, suppress(OSError):
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE)
            return "mapped"
        return "refused"

    assert inside.result(walled, probe) == "refused"
