"""Components that look for what they must not know: behind walls they find nothing.

Each run is made once, of a suite whose every component is a canary; a test is one probe of one
canary in it.
"""

import runpy
from pathlib import Path

import pytest

from bdbench.execution.sandbox.kinds import Isolation, available

CANARIES = ("attack", "filter", "repair", "screen", "model-screen", "metric")
PROBES = runpy.run_path(str(Path(__file__).parent / "site/bdbench_canary/names.py"))["PROBES"]
LIMITS = {("landlock", "existence"): "whoever knows a path can ask whether something is there"}
"""What a kind of walls cannot hide, as its documentation says."""
OF_SHARED_FILES = ("age", "marks")
"""Probes that a copy in place of the file itself defeats, walls or not."""
ONE_AT_A_TIME = ("--executor", "local", "--workers", "1")


@pytest.fixture(scope="session")
def behind_walls(run_canaries):
    """A run as everybody makes it."""
    if available().strongest < Isolation.LANDLOCK:
        pytest.skip(f"this machine has no walls: {dict(available().refused)}")
    return run_canaries(*ONE_AT_A_TIME)


@pytest.fixture(scope="session")
def behind_landlock(run_canaries):
    """As on a machine without namespaces: the attack, and the canary that is granted most."""
    if not available().can(Isolation.LANDLOCK):
        pytest.skip(f"no Landlock: {available().refused[Isolation.LANDLOCK]}")
    setting = ("--executor-set", "isolation=landlock")
    return run_canaries(*ONE_AT_A_TIME, *setting, "--defense", "canary-repair")


@pytest.fixture(scope="session")
def in_the_open(run_canaries):
    """The same without walls: every stage in the main process."""
    return run_canaries("--executor", "inline")


# --- behind walls --------------------------------------------------------------------------------


def test_the_walls_are_as_strong_as_this_machine_allows(behind_walls):
    assert behind_walls.isolation == {str(available().strongest)}


def test_behind_walls_every_canary_had_its_turn(behind_walls):
    assert behind_walls.secrets.keys() == set(CANARIES)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("canary", CANARIES)
def test_behind_walls_nothing_is_found(behind_walls, canary, probe):
    (kind,) = behind_walls.isolation
    _expect_nothing(behind_walls, kind, canary, probe)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("canary", ["attack", "repair"])
def test_behind_landlock_nothing_is_found(behind_landlock, canary, probe):
    assert behind_landlock.isolation == {"landlock"}
    _expect_nothing(behind_landlock, "landlock", canary, probe)


def _expect_nothing(run, kind, canary, probe):
    found = run.secrets[canary][probe]
    if found and (limit := LIMITS.get((kind, probe))):
        pytest.xfail(limit)
    assert found == set()


def test_behind_walls_probes_end_at_walls_and_not_by_mistake(behind_walls):
    reasons = {why for whys in behind_walls.failed.values() for why in whys}
    walls = ("PermissionError: ", "OperationalError: unable to open")
    assert {why for why in reasons if not why.startswith(walls)} == set()
    assert behind_walls.unfinished == set()


def test_no_process_outlives_a_run_behind_walls(behind_walls):
    assert behind_walls.survivors == []


def test_links_do_not_lead_out_of_the_walls(behind_walls):
    assert behind_walls.smuggled == []


def test_inputs_cannot_be_changed_behind_walls(behind_walls, behind_landlock):
    assert behind_walls.marked == []
    assert behind_landlock.marked == []


# --- in the open: the probes can find something --------------------------------------------------


@pytest.mark.parametrize("canary", CANARIES)
def test_in_the_open_every_canary_finds_something(in_the_open, canary):
    found = {probe for probe, secrets in in_the_open.secrets[canary].items() if secrets}
    assert len(found) >= len(PROBES) // 2, found


@pytest.mark.parametrize("probe", sorted(set(PROBES) - set(OF_SHARED_FILES)))
def test_in_the_open_every_probe_finds_something(in_the_open, probe):
    assert [canary for canary in CANARIES if in_the_open.secrets[canary][probe]]


def test_in_the_open_no_probe_fails(in_the_open):
    assert in_the_open.failed == {}


def test_in_the_open_processes_stay_behind(in_the_open):
    assert in_the_open.survivors


def test_a_file_that_two_cells_share_tells_its_age_and_carries_marks(probe_here, tmp_path):
    (tmp_path / "model.safetensors").touch()
    first, second = (probe_here("age", tmp_path) for _ in range(2))
    assert first == second
    assert len(first) == 2
    assert probe_here("marks", tmp_path) == set()
    assert len(probe_here("marks", tmp_path)) == 1
