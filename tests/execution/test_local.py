"""What the local executor asks of its warm parent."""

from __future__ import annotations

import os
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from bdbench.api import StageTask
from bdbench.execution import confined, local
from bdbench.execution.config import LocalConfig
from bdbench.execution.sandbox import Ending, Reason
from bdbench.host.catalog import Host


@pytest.fixture
def sent(monkeypatch):
    """What workers are asked to do."""

    class Parent:
        address = "nowhere"

    sent = []
    monkeypatch.setattr(local, "WarmParent", Parent)
    monkeypatch.setattr(local, "connect", lambda _, wanted: sent.append(wanted))
    return sent


TASK = StageTask("k", "kind", "label", Path(), {})


@pytest.fixture
def boxes_of(sent):
    """The limits of boxes that a task is sent off with, by the executor's settings."""

    def boxes_of(**settings):
        executor = local.LocalExecutor(LocalConfig(**settings))
        executor.start(Path())
        executor.submit(TASK)
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


def test_components_use_the_device_of_their_worker(sent, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    executor = local.LocalExecutor(LocalConfig())
    executor.start(Path())
    for _ in range(executor.free):
        executor.submit(TASK)
    devices = [wanted["environment"]["CUDA_VISIBLE_DEVICES"] for wanted in sent]
    assert devices == ["2", "5"]
    assert [wanted["boxes"]["device"] for wanted in sent] == devices


def test_a_box_passes_its_device_on_before_the_walls_are_up(sent, monkeypatch, tmp_path):
    monkeypatch.setattr(confined, "connect", lambda _, wanted: sent.append(wanted) or Pipe()[0])
    limits = {"seconds": None, "memory_mib": None, "file_mib": None}
    boxes = confined.ConfinedBoxes(
        address="nowhere", isolation="process", masked=(), device="5", **limits
    )
    with boxes.open(tmp_path, ()):
        (asked,) = sent
    seen = []

    def run_confined(*_, **__):
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        return Ending(Reason.DONE, 0, 0.0, 0.0, None)

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    monkeypatch.setattr(confined, "run_confined", run_confined)
    asked.pop("do")
    confined.act(Pipe()[0], Host(), **asked)
    assert seen == ["5"]
