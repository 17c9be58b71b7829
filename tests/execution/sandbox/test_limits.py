"""What a worker may use; how it ends, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bdbench.execution.sandbox import Ending, Isolation, Limits, Reason, limits


def alive(name):
    """Processes of this machine that carry a name among their arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if name.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(folder.name)
        except OSError:
            continue
    return found


NAP = 600
"""Seconds: what sleeps that long was ended if the test goes on before."""


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def leave_behind(name):
    """A grandchild that no walk of a process group finds: a session of its own, an orphan."""
    code = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    sleeper = [sys.executable, "-c", f"import time; time.sleep({NAP})", name]
    subprocess.run([sys.executable, "-c", code, *sleeper], check=True)


def test_deadline_ends_everything(inside, kind):
    name = f"left-{os.getpid()}-{kind}"

    def probe(box):
        leave_behind(name)
        (box / "out" / "ready").touch()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(NAP)

    answer = inside(kind, probe, Limits(seconds=1.5))
    assert answer.ending.reason is Reason.DEADLINE
    assert answer.ending.code == -signal.SIGKILL
    assert 1.5 <= answer.ending.seconds < NAP
    assert "deadline" in answer.ending.text
    assert alive(name) == []


def test_the_orphan_was_there(inside, jail):
    """The test above would prove nothing if the grandchild had never been."""
    name = f"orphan-{os.getpid()}"

    def probe(box):
        leave_behind(name)
        return wait_until(lambda: alive(name))

    assert inside.result(Isolation.PROCESS, probe)


def test_what_it_leaves_behind_ends_with_it(inside, kind):
    name = f"behind-{os.getpid()}-{kind}"
    answer = inside(kind, lambda box: leave_behind(name), Limits(seconds=NAP / 2))
    # Before what is left would have ended by itself.
    assert answer.ending.reason is Reason.DONE
    assert alive(name) == []


def test_memory_of_all_together(inside, kind):
    def probe(box):
        children = []
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                # Much beside what all of them share with the process that runs the tests.
                held = bytearray(os.urandom(1) * (160 * 2**20))
                time.sleep(NAP)
                os._exit(len(held))
            children.append(pid)
        time.sleep(NAP)

    base = inside(kind, lambda box: time.sleep(0.4)).ending.peak_mib
    cap = int(base) + 160
    answer = inside(kind, probe, Limits(seconds=NAP / 2, memory_mib=cap))
    assert answer.ending.reason is Reason.MEMORY
    assert cap < answer.ending.peak_mib


def test_pages_shared_by_forks_count_once(inside, kind):
    def probe(box):
        held = bytearray(b"x" * (100 * 2**20))
        for _ in range(4):
            if os.fork() == 0:
                time.sleep(1)
                os._exit(held[5])
        time.sleep(1)
        return "well"

    base = inside(kind, lambda box: time.sleep(0.4)).ending.peak_mib
    answer = inside(kind, probe, Limits(seconds=60, memory_mib=int(base) + 250))
    assert (answer.ending.reason, answer.value) == (Reason.DONE, "well")


def test_mapped_files_do_not_count(inside, kind, jail):
    size = 300 * 2**20
    with (jail.folder / "in" / "large").open("wb") as file:
        file.truncate(size)

    def probe(box):
        import mmap

        with (box / "in" / "large").open("rb") as file:
            held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            total = sum(held[place] for place in range(0, size, 4096))
            time.sleep(0.4)
            return total

    base = inside(kind, lambda box: time.sleep(0.4)).ending.peak_mib
    assert inside.result(kind, probe, limits=Limits(60, memory_mib=int(base) + 100)) == 0


def test_size_of_a_file(inside, kind, jail):
    def probe(box):
        with (box / "out" / "large").open("wb") as file:
            for _ in range(5):
                file.write(bytes(2**20))
                file.flush()

    answer = inside(kind, probe, Limits(seconds=60, file_mib=3))
    assert answer.ending.reason is Reason.FILE_SIZE
    assert (jail.folder / "out" / "large").stat().st_size == 3 * 2**20
    assert inside(kind, probe, Limits(seconds=60, file_mib=6)).ending.reason is Reason.DONE


def test_no_core_is_written(inside, kind):
    def probe(box):
        import resource

        return resource.getrlimit(resource.RLIMIT_CORE)

    assert inside.result(kind, probe) == [0, 0]


@pytest.mark.parametrize(
    ("action", "reason", "code", "text"),
    [
        (lambda: None, Reason.DONE, 0, "well"),
        (lambda: sys.exit(7), Reason.EXIT, 7, "exit code 7"),
        (lambda: sys.exit("told"), Reason.EXIT, 1, "exit code 1"),
        (lambda: 1 / 0, Reason.EXIT, 1, "exit code 1"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), Reason.SIGNAL, -9, "out of memory?"),
        (os.abort, Reason.SIGNAL, -6, "SIGABRT"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), Reason.SIGNAL, -15, "SIGTERM"),
    ],
    ids=["well", "exit", "text", "raises", "killed", "abort", "term"],
)
def test_how_it_ended_is_told(inside, kind, action, reason, code, text):
    ending = inside(kind, lambda box: action()).ending
    assert (ending.reason, ending.code) == (reason, code)
    assert text in ending.text


def test_what_it_prints_is_in_the_log(inside, kind, jail):
    def probe(box):
        print("said by Python")  # noqa: T201
        subprocess.run(["sh", "-c", "echo said by a program; echo complaint >&2"], check=True)
        raise RuntimeError("what went wrong")

    inside(kind, probe)
    log = jail.log.read_text()
    for part in ("said by Python", "said by a program", "complaint", "what went wrong"):
        assert part in log


def burn():
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass


def test_processor_time_counts_children(inside, kind):
    def probe(box):
        burn()
        pid = os.fork()
        if pid == 0:
            burn()
            os._exit(0)
        os.waitpid(pid, 0)

    # What starting costs differs with the machine.
    assert inside(kind, probe).ending.cpu_seconds >= 0.6


@pytest.mark.parametrize("ending", ["by itself", "at its deadline"])
def test_processor_time_counts_what_is_killed(inside, kind, jail, ending):
    def probe(box):
        burn()
        if os.fork() == 0:
            burn()
            (box / "out" / "burnt").touch()
            time.sleep(NAP)
        while not (box / "out" / "burnt").exists():
            time.sleep(0.01)
        if ending == "at its deadline":
            time.sleep(NAP)

    answer = inside(kind, probe, Limits(seconds=5))
    assert (jail.folder / "out" / "burnt").exists()
    assert answer.ending.reason is (Reason.DONE if ending == "by itself" else Reason.DEADLINE)
    assert answer.ending.cpu_seconds >= 0.6


def test_orphans_are_reaped(inside, kind):
    """A zombie that nobody takes in would be seen in its parent's list."""

    def probe(box):
        def zombies():
            return [
                path.name
                for path in Path("/proc").glob("[0-9]*")
                if (path / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            ]

        middle = os.fork()
        if middle == 0:
            if os.fork() == 0:
                time.sleep(0.1)
            os._exit(0)
        os.waitpid(middle, 0)
        time.sleep(0.4)
        return zombies()

    if kind is not Isolation.NAMESPACE:
        pytest.skip("other processes of the machine may be zombies, or cannot be listed")
    assert inside.result(kind, probe) == []


# --- ended from outside -------------------------------------------------------------------------


def sleeper(name):
    def call(box):
        leave_behind(name)
        (box / "out" / "ready").touch()
        time.sleep(NAP)

    return call


def test_terminating_the_outer_side_stops_it(launch, kind, jail):
    start, finish = launch
    name = f"stopped-{os.getpid()}-{kind}"
    child, pipe = start(kind, jail, sleeper(name), Limits(seconds=NAP))
    assert wait_until((jail.folder / "out" / "ready").exists)
    os.kill(child, signal.SIGTERM)
    ending, error = finish(child, pipe)
    assert (ending.reason, error) == (Reason.STOPPED, "")
    assert alive(name) == []


def test_the_lifeline_stops_it(launch, kind, jail):
    start, finish = launch
    theirs, ours = os.pipe()
    name = f"abandoned-{os.getpid()}-{kind}"

    def before():
        os.close(ours)

    child, pipe = start(
        kind, jail, sleeper(name), Limits(seconds=NAP), lifeline=theirs, before=before
    )
    os.close(theirs)
    assert wait_until((jail.folder / "out" / "ready").exists)
    os.close(ours)
    ending, _ = finish(child, pipe)
    assert ending.reason is Reason.ABANDONED
    assert alive(name) == []


def test_killing_the_outer_side_kills_the_worker(launch, kind, jail):
    start, _ = launch
    name = f"bereft-{os.getpid()}-{kind}"

    def call(box):
        (box / "out" / "ready").touch()
        code = f"import time; time.sleep({NAP})"
        os.execv(sys.executable, [sys.executable, "-c", code, name])  # noqa: S606 -- the very process

    child, pipe = start(kind, jail, call, Limits(seconds=NAP))
    assert wait_until(lambda: alive(name))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(pipe)
    assert wait_until(lambda: not alive(name))


def test_the_end_of_the_warm_parent_stops_it(launch, kind, jail):
    start, _ = launch
    name = f"orphaned-{os.getpid()}-{kind}"
    warm = os.fork()
    if warm == 0:
        start(kind, jail, sleeper(name), Limits(seconds=NAP))
        wait_until((jail.folder / "out" / "ready").exists)
        os._exit(0)
    os.waitpid(warm, 0)
    assert (jail.folder / "out" / "ready").exists()
    assert wait_until(lambda: not alive(name))


# --- the watch itself ---------------------------------------------------------------------------


def test_descendants_are_found_both_ways(monkeypatch):
    child = subprocess.Popen(
        [sys.executable, "-c", "import os, time; os.fork(); time.sleep(60)"],
        stdin=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: len(limits.descendants(child.pid)) == 1)
        found = limits.descendants(os.getpid())
        assert child.pid in found
        monkeypatch.setattr(limits, "_LISTS_CHILDREN", False)
        assert set(limits.descendants(os.getpid())) == set(found)
    finally:
        for pid in limits.descendants(child.pid):
            os.kill(pid, signal.SIGKILL)
        child.kill()
        child.wait()


def test_every_ending_has_a_text():
    for reason in Reason:
        code = {Reason.SIGNAL: -11}.get(reason, 0)
        assert Ending(reason, code, 1.0, 1.0, None).text
    assert "?" in Ending(Reason.SIGNAL, -120, 1.0, 1.0, None).text
