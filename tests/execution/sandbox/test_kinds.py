"""The kinds, their order, and what the machine says about them."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from bdbench.execution.sandbox import Capability, Isolation, available, kinds

ORDER = [Isolation.NONE, Isolation.PROCESS, Isolation.LANDLOCK, Isolation.NAMESPACE]


def test_order():
    assert sorted(Isolation) == ORDER
    for weaker, stronger in itertools.combinations(ORDER, 2):
        assert weaker < stronger
        assert stronger > weaker
        assert weaker <= stronger
        assert not stronger <= weaker
        assert stronger >= weaker
        assert max(weaker, stronger) is stronger
    assert Isolation.PROCESS >= Isolation.PROCESS
    # As it stands in a record.
    assert Isolation.PROCESS < "landlock"


def test_what_works_is_what_is_not_refused():
    found = available()
    assert found.can(found.strongest)
    assert found.can(Isolation.PROCESS)
    for kind in Isolation:
        if kind > found.strongest:
            assert found.refused[kind]
    assert available() is found


def answer(monkeypatch, output="{}", error=None):
    def run(*_, **__):
        if error:
            raise error
        return subprocess.CompletedProcess([], 0, output, b"")

    monkeypatch.setattr(kinds.subprocess, "run", run)
    return available.__wrapped__()


def test_a_weaker_machine(monkeypatch):
    found = answer(monkeypatch, '{"namespace": "unshare: not permitted", "landlock": ""}')
    assert found == Capability(Isolation.LANDLOCK, {Isolation.NAMESPACE: "unshare: not permitted"})


@pytest.mark.parametrize(
    "error",
    [
        subprocess.CalledProcessError(1, "probe", stderr=b"Traceback\nno such thing"),
        subprocess.TimeoutExpired("probe", 60),
        OSError("no python"),
    ],
    ids=["failed", "late", "absent"],
)
def test_a_trial_that_fails_leaves_the_process(monkeypatch, error):
    found = answer(monkeypatch, error=error)
    assert found.strongest is Isolation.PROCESS
    assert set(found.refused) == {Isolation.NAMESPACE, Isolation.LANDLOCK}
    assert all("trial" in why for why in found.refused.values())


def test_the_trial_says_why_not(monkeypatch, capfd):
    """In a process that may make no namespaces at all, and whose files are all open."""
    code = """
import json
from bdbench.execution.sandbox import probe, worker, confine
from bdbench.execution.sandbox.kinds import Isolation

def refuse():
    raise OSError(1, "unshare: Operation not permitted")

confine.enter_outer = refuse
worker.restrict_files = lambda jail: None
print(json.dumps([probe._try(Isolation.NAMESPACE), probe._try(Isolation.LANDLOCK)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    namespace, landlock = __import__("json").loads(done.stdout)
    assert namespace == "unshare: Operation not permitted"
    assert "could be read" in landlock
