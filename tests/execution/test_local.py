"""What the local executor asks of its warm parent."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from bdbench.api import StageTask
from bdbench.execution import local
from bdbench.execution.config import LocalConfig


@pytest.fixture
def boxes_of(monkeypatch):
    """The limits of boxes that a task is sent off with, by the executor's settings."""

    class Parent:
        address = "nowhere"

    sent = []
    monkeypatch.setattr(local, "WarmParent", Parent)
    monkeypatch.setattr(local, "connect", lambda _, wanted: sent.append(wanted))

    def boxes_of(**settings):
        executor = local.LocalExecutor(LocalConfig(**settings))
        executor.start(Path())
        executor.submit(StageTask("k", "kind", "label", Path(), {}))
        boxes = sent.pop()["boxes"]
        return boxes["seconds"], boxes["memory_mib"], boxes["file_mib"]

    return boxes_of


def test_a_component_that_hangs_or_hoards_is_ended_even_if_nobody_set_a_limit(boxes_of):
    seconds, memory_mib, file_mib = boxes_of()
    assert seconds == 12 * 3600
    assert 0.89 < memory_mib * 2**20 / psutil.virtual_memory().total <= 0.9
    assert file_mib is None


def test_limits_are_those_that_were_set(boxes_of):
    limits = {"deadline_minutes": 0.5, "memory_gib": 2, "file_gib": 0.25}
    assert boxes_of(**limits) == (30, 2048, 256)
