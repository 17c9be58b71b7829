"""``bdbench export-lock --requirements``, and how one gets there from a refused lock."""

from __future__ import annotations

import re
import shlex
from importlib import metadata

import pytest
import yaml


@pytest.fixture
def other_lock(bdbench, toy, tmp_path):
    """A lock of what is not installed here, in a folder with a space in its name."""
    path = tmp_path / "my locks" / "toy.lock.yaml"
    path.parent.mkdir()
    assert bdbench("export-lock", toy, "--out", path).code == 0
    data = yaml.safe_load(path.read_text("utf-8"))
    data["plugins"].append({"distribution": "bdbench-ghost", "version": "3.2", "code": "c" * 64})
    path.write_text(yaml.safe_dump(data), "utf-8")
    return path


def requirements_in(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_the_requirements_of_what_is_installed(bdbench, toy, tmp_path):
    done = bdbench("export-lock", toy, "--requirements")
    file = tmp_path / "toy.txt"
    written = bdbench("export-lock", toy, "--requirements", "--out", file)

    lines = requirements_in(done.out)
    assert f"torch=={metadata.version('torch')}" in lines
    assert {"bdbench==0.1.0", "bdbench-toy==0.1"} <= set(lines)
    assert file.read_text("utf-8") == done.out
    assert written.out == ""
    assert f"Next: `uv pip install --requirement {file}`" in written.err


def test_a_refused_lock_names_the_command_that_leads_to_what_it_names(bdbench, toy, other_lock):
    refused = bdbench("run", toy, "--locked", other_lock)
    (command,) = re.findall(r"Next: `bdbench ([^`]*)` writes down what to install", refused.err)
    done = bdbench(*shlex.split(command))

    assert refused.code == 4
    assert done.code == 0
    assert "bdbench-ghost==3.2" in requirements_in(done.out)


def test_of_a_lock_nothing_but_its_requirements_is_to_be_had(bdbench, other_lock):
    done = bdbench("export-lock", "--locked", other_lock)

    assert (done.code, done.out) == (4, "")
    assert "--locked FILE goes with --requirements" in done.err


def test_what_is_no_lock_has_no_requirements(bdbench, toy):
    done = bdbench("export-lock", "--locked", toy, "--requirements")

    assert (done.code, done.out) == (4, "")
    assert "the lock cannot be read" in done.err
