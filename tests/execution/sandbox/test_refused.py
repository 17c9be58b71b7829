"""What no worker is started with, and where one cannot be confined."""

from __future__ import annotations

import os
import time

import pytest

from bdbench.api.errors import InputError, StoreError
from bdbench.execution.sandbox import Isolation, Jail, Limits, Reason


def test_a_folder_as_a_descriptor_is_refused(inside, kind, tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    answer = inside(kind, lambda box: None, keep=(descriptor,))
    os.close(descriptor)
    assert "InputError" in answer.error
    assert "a folder" in answer.error


def test_a_missing_folder_is_refused(tmp_path):
    from bdbench.execution.sandbox import run_confined

    with pytest.raises(InputError, match="not there"):
        run_confined(Isolation.PROCESS, Jail(tmp_path / "none"), print, Limits())
    jail = Jail(tmp_path, readable=(tmp_path / "none",))
    jail.create()
    with pytest.raises(InputError, match="none"):
        run_confined(Isolation.PROCESS, jail, print, Limits())


def test_folders_that_cannot_be_made_are_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        Jail(tmp_path / "file").create()


def test_a_failure_to_confine_is_told_and_nothing_runs(inside, walled, jail, monkeypatch):
    def refuse(**_):
        raise OSError(1, "seccomp: not today")

    monkeypatch.setattr("bdbench.execution.sandbox.worker.restrict_calls", refuse)
    answer = inside(walled, lambda box: (box / "out" / "ran").touch())
    assert "not today" in answer.error
    assert "bdbench doctor" in answer.error
    assert not (jail.folder / "out" / "ran").exists()


def test_a_process_with_threads_is_refused(inside, namespace, jail):
    import threading

    def before():
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()

    answer = inside(namespace, lambda box: None, before=before)
    assert "one thread" in answer.error


def test_none_runs_right_here(tmp_path):
    from bdbench.execution.sandbox import run_confined

    jail = Jail(tmp_path)
    jail.create()
    seen = []
    ending = run_confined(Isolation.NONE, jail, lambda box: seen.append(os.getpid()), Limits())
    assert seen == [os.getpid()]
    assert ending.reason is Reason.DONE
    with pytest.raises(ZeroDivisionError):
        run_confined(Isolation.NONE, jail, lambda box: 1 / 0, Limits())
