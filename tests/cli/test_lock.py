"""``bdbench export-lock`` and ``bdbench run --locked``."""

from __future__ import annotations

import json

import pytest
import yaml

from bdbench.cli import run as run_module


@pytest.fixture
def lock(bdbench, toy, tmp_path):
    """A lock of the toy suite, and how to change it."""
    path = tmp_path / "toy.lock.yaml"

    def lock(change=lambda data: None):
        assert bdbench("export-lock", toy, "--out", path).code == 0
        data = yaml.safe_load(path.read_text("utf-8"))
        change(data)
        path.write_text(yaml.safe_dump(data), "utf-8")
        return path

    return lock


def test_a_lock_goes_to_stdout_or_into_a_file(bdbench, toy, tmp_path):
    data = json.loads(bdbench("export-lock", toy).out)

    assert data["schema"] == "bdbench.lock/1"
    assert [plugin["distribution"] for plugin in data["plugins"]] == ["bdbench-toy"]
    components = {item["component"] for item in data["components"]}
    assert {"bdbench-toy/toy-blobs", "bdbench-toy/toy-patch", "bdbench/none"} <= components
    for name in ("lock.json", "lock.yaml"):
        done = bdbench("export-lock", toy, "--out", tmp_path / name)
        assert done.out == ""
        assert f"--locked {tmp_path / name}" in done.err
        assert yaml.safe_load((tmp_path / name).read_text("utf-8")) == data
    assert json.loads((tmp_path / "lock.json").read_text("utf-8")) == data


def test_where_it_was_locked_it_runs(bdbench, toy, lock):
    done = bdbench("run", toy, "--locked", lock(), "--plan")

    assert done.code == 0
    assert "cells" in done.out


def test_other_settings_are_no_difference(bdbench, toy, lock):
    assert bdbench("run", toy, "--locked", lock(), "--plan", "--set", "seeds=[7]").code == 0


def test_what_differs_is_shown_in_a_table_and_ends_with_4(bdbench, toy, lock, monkeypatch):
    def change(data):
        data["python"] = "3.1.4"
        data["plugins"][0]["version"] = "9.9"
        data["plugins"][0]["code"] = "f" * 64
        data["packages"]["torch"] = "\x1b[31m0.1"

    # Refused before any plugin is imported.
    monkeypatch.setattr(run_module, "make_host", lambda: pytest.fail("imported"))
    done = bdbench("run", toy, "--locked", lock(change))

    assert (done.code, done.out) == (4, "")
    head, *rows = done.err.splitlines()[-6:]
    assert head.split() == ["locked", "here"]
    assert rows[0].split()[:2] == ["python", "3.1.4"]
    assert rows[1].split()[:2] == ["torch", "\\u001b[31m0.1"]
    assert rows[2].split() == ["bdbench-toy", "9.9", "0.1"]
    assert rows[3].startswith("code of bdbench-toy  ffffffffffffffffffff ...  ")
    assert "this is not what was locked. Found 4 differences (see the table)" in rows[4]


def test_a_suite_with_another_component_is_refused(bdbench, toy, lock):
    done = bdbench("run", toy, "--locked", lock(), "--plan", "--set", "defenses=[toy-mean]")

    assert (done.code, done.out) == (4, "")
    (row,) = (
        line for line in done.err.splitlines() if line.startswith("defense bdbench-toy/toy-clip")
    )
    assert row.split()[2:4] == ["revision", "1,"]
    assert row.endswith("-")


def test_what_is_no_lock_is_refused(bdbench, toy, tmp_path):
    done = bdbench("run", toy, "--locked", toy)

    assert done.code == 4
    assert "the lock cannot be read" in done.err


def test_a_suite_that_demands_pinned_plugins_refuses_others_before_they_are_imported(
    bdbench, toy, tmp_path, monkeypatch
):
    suite = tmp_path / "suite.yaml"
    suite.write_text(toy.read_text("utf-8") + "plugins: pinned\n", "utf-8")
    monkeypatch.setattr(run_module, "make_host", lambda: pytest.fail("imported"))

    done = bdbench("run", suite, "--plan")

    assert (done.code, done.out) == (4, "")
    assert "the suite demands pinned plugins" in done.err
    assert "bdbench-toy 0.1 (not in the registry)" in done.err


def test_a_file_that_cannot_be_written_is_told(bdbench, toy, tmp_path):
    done = bdbench("export-lock", toy, "--out", tmp_path / "missing" / "lock.yaml")

    assert (done.code, done.out) == (4, "")
    assert "the file cannot be written" in done.err
    assert "Next: name another with --out" in done.err


def test_paths_stand_in_the_next_command_as_a_shell_takes_them(bdbench, toy, tmp_path):
    suite = tmp_path / "a suite.yaml"
    suite.write_text(toy.read_text("utf-8"), "utf-8")
    done = bdbench("export-lock", suite, "--out", tmp_path / "a lock.yaml")

    assert f"`bdbench run '{suite}' --locked '{tmp_path}/a lock.yaml'`" in done.err
