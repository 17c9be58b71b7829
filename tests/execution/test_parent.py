"""The warm parent: what it holds is code, and it takes along all that it forked."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from bdbench.api import BdbenchError
from bdbench.execution.parent import WarmParent, connect


@pytest.fixture
def parent(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_USER", "x")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    monkeypatch.setenv("HF_HOME", "/cache")
    parent = WarmParent()
    yield parent
    parent.stop()


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def process_of(parent):
    living = [
        child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE
    ]
    (found,) = [child for child in living if "bdbench.execution.warm" in child.cmdline()]
    return found


def test_it_is_started_without_secrets_and_in_no_folder_of_the_users(parent):
    process = process_of(parent)
    environment = process.environ()

    assert not {"SECRET_OF_THE_USER", "HF_TOKEN", "BDBENCH_HOME"} & set(environment)
    assert environment["HF_HOME"] == "/cache"
    assert process.cwd() == "/"


def test_a_child_that_fails_is_told_of(parent):
    with connect(parent.address, {"do": "act", "nothing": "that it knows"}) as connection:
        assert json.loads(connection.recv_bytes()) == {"ended": 1}


def test_stopping_ends_all_that_was_forked(parent, tmp_path):
    box = {"folder": str(tmp_path), "isolation": "process", "readable": [], "masked": []}
    limits = {"seconds": None, "memory_mib": None, "file_mib": None}
    for part in ("in", "out", "tmp"):
        (tmp_path / part).mkdir()
    asked = {"do": "act", **box, "limits": limits, "device": None}
    connection = connect(parent.address, asked)
    process = process_of(parent)
    while len(process.children(recursive=True)) < 2:
        time.sleep(0.05)
    below = process.children(recursive=True)

    parent.stop()

    _, alive = psutil.wait_procs(below, timeout=60)
    assert alive == []
    connection.close()


def test_without_it_nothing_is_forked(parent):
    parent.stop()

    with pytest.raises(BdbenchError, match="the process from which all workers are forked is gone"):
        connect(parent.address, {})


def test_no_descriptor_is_left_open():
    before = open_descriptors()
    WarmParent().stop()

    assert open_descriptors() == before


def test_a_long_name_of_the_temporary_folder_is_no_obstacle(tmp_path, monkeypatch):
    """A socket's path has at most some 100 characters."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    parent = WarmParent()
    try:
        with connect(parent.address, {"do": "act", "nothing": "that it knows"}) as connection:
            assert json.loads(connection.recv_bytes()) == {"ended": 1}
    finally:
        parent.stop()
