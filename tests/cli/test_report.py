"""``bdbench report``: a file, whole or not at all."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

RUN = "20260101-000000-toy-aaaa"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch, finished_run):
    """A finished run, and an empty folder to write to."""
    finished_run()
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def files():
    return [str(path) for path in Path().iterdir()]


@pytest.mark.parametrize(
    ("name", "ending", "begins"),
    [
        ("html", "html", "<!doctype html>"),
        ("latex", "tex", "% By bdbench 0.1.0, run"),
        ("markdown", "md", "**blobs"),
        ("table", "txt", "blobs · linear"),
        ("csv", "csv", "dataset,model"),
        ("json", "json", "{"),
    ],
)
def test_a_report_has_the_name_of_its_run_and_its_path_is_printed(bdbench, name, ending, begins):
    done = bdbench("report", "--format", name)

    assert (done.code, done.err) == (0, "")
    assert done.out == f"{RUN}.{ending}\n"
    assert Path(f"{RUN}.{ending}").read_text("utf-8").lower().startswith(begins.lower())


def test_a_report_is_html_unless_said_otherwise(bdbench):
    assert bdbench("report").out == f"{RUN}.html\n"


def test_a_report_can_be_written_to_a_file_to_a_folder_and_to_standard_output(bdbench):
    Path("folder").mkdir()
    shown = bdbench("report", "--format", "json", "--out", "-").out

    assert bdbench("report", "--format", "json", "--out", "mine.txt").out == "mine.txt\n"
    assert bdbench("report", "--format", "json", "--out", "folder").out == f"folder/{RUN}.json\n"
    assert Path("mine.txt").read_text("utf-8") == shown
    assert Path(f"folder/{RUN}.json").read_text("utf-8") == shown
    assert json.loads(shown)["run_id"] == RUN


def test_a_report_replaces_what_was_there_and_leaves_nothing_else(bdbench):
    Path("mine.md").write_text("old", "utf-8")
    bdbench("report", "--format", "markdown", "--out", "mine.md")

    assert Path("mine.md").read_text("utf-8").startswith("**blobs")
    assert files() == ["mine.md"]
    assert stat.S_IMODE(Path("mine.md").stat().st_mode) == 0o644


def test_a_report_that_cannot_be_written_leaves_what_was_there(bdbench, monkeypatch):
    Path("mine.md").write_text("old", "utf-8")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    done = bdbench("report", "--format", "markdown", "--out", "mine.md")

    assert (done.code, done.out) == (4, "")
    assert "No space left on device" in done.err
    assert Path("mine.md").read_text("utf-8") == "old"
    assert files() == ["mine.md"]


def test_a_report_has_settings(bdbench):
    plain = bdbench("report", "--format", "latex", "--out", "-").out
    whole = bdbench("report", "--format", "latex", "--out", "-", "--standalone").out
    more = bdbench("report", "--format", "latex", "--out", "-", "--set", "intervals=true").out

    assert "\\documentclass" not in plain
    assert "\\documentclass" in whole
    assert "[15.0, 35.0]" in more


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--format", "latecks"], "write 'latex'"),
        (["--format", "csv", "--standalone"], "unknown key 'standalone'"),
        (["--format", "latex", "--set", "interval=true"], "write 'intervals'"),
        (["--format", "latex", "--set", "intervals"], "key=value"),
        (["--format", "latex", "--set", "intervals=7"], "Found 7"),
        (["--out", "nowhere/x.html"], "No such file or directory"),
        (["tyo"], "Found runs of toy"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(bdbench, arguments, text):
    done = bdbench("report", *arguments)

    assert (done.code, done.out) == (4, "")
    assert text in done.err
    assert files() == []
