"""A component that crashes in the checks: where, in every way to make them."""

from __future__ import annotations

import pytest

from bdbench.testing import CheckFailedError, Outcome, check_component
from bdbench.testing.check import CHECKS
from bdbench.testing.running import components_of, run_check
from bdbench.testing.subject import Subject

HOOKS = """
from bdbench.api import Access, DefenseSpec, DefenseStage, Needs, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(
        name="crashing",
        target="bdbench_crashing.defense:Crashing",
        summary="Crashes.",
        stages=frozenset({DefenseStage.STAGE}),
        needs=Needs(access=Access.WEIGHTS, training_data=FILTERS),
        tasks=frozenset({"vector-classification"}),
    )]
"""
DEFENSE = """
from bdbench.api import Defense

class Crashing(Defense):
    def METHOD(self, given, view):
        return self.help(given)

    def help(self, given):
        BODY
"""
PLACE = "bdbench_crashing/defense.py, line 9, in help"
CONFORMANCE = "EXPECTED_FAILURES = {'crashing': {'runs_on_cpu': 'needs a GPU'}}"


@pytest.fixture
def crashing(fake_dist):
    def crashing(body, stage="repair", conformance=""):
        defense = DEFENSE.replace("METHOD", stage).replace("BODY", body)
        modules = {"defense": defense, "conformance": conformance}
        hooks = HOOKS.replace("STAGE", stage.upper()).replace("FILTERS", str(stage == "filter"))
        fake_dist("bdbench-crashing", hooks, modules=modules)
        return "bdbench-crashing"

    return crashing


def test_the_line_is_told_and_the_traceback_kept(crashing, run_cli):
    name = crashing("given.nothing()")

    done = run_cli("check", name)
    found = run_cli("check", name, "--json").json()
    debugged = run_cli("check", name, "--debug")
    (component,) = components_of(name)
    with pytest.raises(CheckFailedError) as caught:
        run_check(CHECKS["runs_on_cpu"], Subject(component))

    assert done.code == 1
    assert f"no attribute 'nothing' ({PLACE})" in done.out
    failed = {item["check"]: item for item in found[0]["checks"]}["runs_on_cpu"]
    assert "given.nothing()" in failed["error"]["traceback"]
    assert "given.nothing()" in debugged.err
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_crash_is_not_what_was_expected(crashing, run_cli):
    done = run_cli("check", crashing("given.nothing()", conformance=CONFORMANCE))

    assert done.code == 1
    assert "FAILED    runs_on_cpu" in done.out


@pytest.mark.parametrize(
    ("stage", "expected"),
    [("repair", "Repair"), ("screen", "Screening"), ("filter", "Filtering")],
)
def test_what_a_method_gives_must_be_what_the_host_expects(crashing, stage, expected):
    name = crashing("return given", stage)
    (component,) = components_of(name)

    report = check_component(component, only=["runs_on_cpu"])

    (result,) = report.results
    assert result.outcome is Outcome.FAILED
    assert f"{stage} gave a " in result.reason
    assert f"expected a {expected}" in result.reason
