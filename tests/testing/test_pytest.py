"""The pytest plugin: fixtures, and checks as tests, in a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bdbench.testing import CheckFailedError, parametrize_with_checks
from bdbench.testing.fakes import FakeDistributions

BROKEN = Path(__file__).parent / "broken"
HOOKS = """
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(name="fake", target="nowhere:Thing", summary="A fake.",
                        stages=frozenset({DefenseStage.SCREEN}))]
"""
TESTS = """
from bdbench.testing import parametrize_with_checks
from bdbench.testing.running import components_of

COMPONENTS = [
    item for item in components_of("bdbench-broken")
    if item.spec.name in {"sound-screen", "decision-lengths-match"}
]

@parametrize_with_checks(COMPONENTS, expected_failures=EXPECTED)
def test_conformance(check):
    check()
"""


@pytest.fixture
def run_pytest(tmp_path):
    def run_pytest(text):
        path = tmp_path / "test_it.py"
        path.write_text(text, "utf-8")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", str(path)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(BROKEN)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run_pytest


def test_each_component_and_check_is_a_test(run_pytest):
    done = run_pytest(TESTS.replace("EXPECTED", "{}"))

    assert "PASSED test_it.py::test_conformance[sound-screen-works_blind]" in done.stdout
    assert "FAILED test_it.py::test_conformance[decision-lengths-match-decision_l" in done.stdout
    assert "1 failed" in done.stdout
    assert "SKIPPED" in done.stdout


def test_expected_failures_are_strict(run_pytest):
    name = "decision-lengths-match"
    expected = {name: {"decision_lengths_match": "later", "works_blind": "never"}}

    done = run_pytest(TESTS.replace("EXPECTED", repr(expected)))

    assert f"XFAIL test_it.py::test_conformance[{name}-decision_lengths_match] - later" in (
        done.stdout
    )
    assert f"FAILED test_it.py::test_conformance[{name}-works_blind]" in done.stdout
    assert "XPASS(strict)" in done.stdout


def test_a_check_by_itself_raises_what_it_found(broken):
    mark = parametrize_with_checks([broken["poison-rate-exact"]])
    checks = {case.values[0].check.name: case.values[0] for case in mark.args[1]}

    checks["target_resolves"]()
    assert checks["target_resolves"].component is broken["poison-rate-exact"]
    with pytest.raises(CheckFailedError, match="the poison rate is not what was set"):
        checks["poison_rate_exact"]()


def test_a_host_knows_what_is_named_and_no_more(bdbench_host, fake_dist):
    fake_dist("bdbench-fake", HOOKS)

    without, named = bdbench_host(), bdbench_host("bdbench-fake")

    assert {item.distribution for item in without.components()} == {"bdbench"}
    assert named.find("defense", "fake").full_name == "bdbench-fake/fake"
    assert {item.distribution for item in named.components()} == {"bdbench", "bdbench-fake"}
    assert bdbench_host("bdbench-fake", disabled=("bdbench-fake",)).broken() == []


def test_the_last_fake_is_the_first_found_and_goes_away(fake_dist, run_cli, tmp_path):
    fake_dist("bdbench-fake", HOOKS, version="1.0")
    fake_dist("bdbench-fake", HOOKS.replace("A fake.", "A newer one."), version="2.0")

    listed = run_cli("list", "--kind", "defense", "--json")

    assert listed.code == 0
    (found,) = [item for item in listed.json() if item["name"] == "fake"]
    assert (found["version"], found["summary"]) == ("2.0", "A newer one.")
    fakes = FakeDistributions(tmp_path / "others", sys.path.append)
    fakes(
        "bdbench-gone", HOOKS, modules={"more": "x = 1"}, entry_points={"odd": "bdbench_gone.more"}
    )
    import bdbench_gone.more

    assert bdbench_gone.more.x == 1
    sys.path.pop()
    fakes.forget()
    assert "bdbench_gone.more" not in sys.modules


def test_worlds_are_a_tests_own(tiny_world, tmp_path):
    one, other = tiny_world("vector-classification"), tiny_world("vector-classification")

    assert one.start.folder.is_relative_to(tmp_path)
    assert one.start.folder != other.start.folder


def test_a_command_that_fails_tells_its_code_and_why(run_cli):
    done = run_cli("show", "nothing-of-this-name")

    assert done.code == 4
    assert done.out == ""
    assert "nothing-of-this-name" in done.err
