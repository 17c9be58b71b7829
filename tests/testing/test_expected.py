"""Failures that are expected: by whom, how strictly, and what is refused."""

from __future__ import annotations

import pytest

from bdbench.api import InputError, PluginError
from bdbench.testing import Outcome, check_component, parametrize_with_checks
from bdbench.testing.running import components_of

HOOKS = """
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(
        name="lossy",
        target="bdbench_lossy.defense:Lossy",
        summary="Rejects everything.",
        stages=frozenset({DefenseStage.SCREEN}),
        tasks=frozenset({"vector-classification"}),
    )]
"""
DEFENSE = """
from bdbench.api import Defense, Screening

class Lossy(Defense):
    def screen(self, rows, view):
        return Screening(rows, [True] * len(rows), [0.0] * len(rows))
"""
CHECK = "does_little_to_clean_model"
REASON = "it is meant to reject everything"


@pytest.fixture
def lossy(fake_dist):
    def lossy(conformance=""):
        modules = {"defense": DEFENSE, "conformance": conformance}
        fake_dist("bdbench-lossy", HOOKS, modules=modules)
        return "bdbench-lossy"

    return lossy


def listed(**checks):
    return f"EXPECTED_FAILURES = {{'lossy': {checks!r}}}"


def cases(mark):
    return {case.values[0].check.name: case.marks for case in mark.args[1]}


def test_without_a_word_it_fails(lossy, run_cli):
    assert run_cli("check", lossy()).code == 1


def test_both_routes_read_what_the_module_lists(lossy, run_cli):
    done = run_cli("check", lossy(listed(**{CHECK: REASON})), "--json")
    (report,) = done.json()
    found = {item["check"]: item for item in report["checks"]}[CHECK]
    marks = cases(parametrize_with_checks("bdbench-lossy"))

    assert (done.code, report["ok"]) == (0, True)
    assert (found["outcome"], found["reason"]) == ("expected failure", REASON)
    (mark,) = marks[CHECK]
    assert mark.kwargs["strict"]
    assert mark.kwargs["reason"] == REASON
    assert not marks["works_blind"]


def test_what_is_listed_and_passes_fails(lossy, run_cli):
    done = run_cli("check", lossy(listed(**{CHECK: REASON, "works_blind": "once"})))

    assert done.code == 1
    assert "FAILED    works_blind" in done.out
    assert "expected to fail (once): take it off the list" in done.out


def test_what_is_given_comes_on_top(lossy):
    (component,) = components_of(lossy(listed(works_blind="once")))
    report = check_component(
        component, only=[CHECK, "works_blind"], expected_failures={CHECK: REASON}
    )

    assert {item.check: item.outcome for item in report.results} == {
        CHECK: Outcome.EXPECTED_FAILURE,
        "works_blind": Outcome.UNEXPECTED_PASS,
    }


MISTAKES = [
    ({"losy": {CHECK: REASON}}, "write 'lossy'"),
    ({CHECK: REASON}, "no component has this name"),
    ({"lossy": {"does_litle_to_clean_model": REASON}}, f"write '{CHECK}'"),
    ({"lossy": {"poison_rate_exact": REASON}}, "is not put to"),
    ({"lossy": [CHECK]}, "must be a mapping"),
    ({"lossy": CHECK}, "must be a mapping"),
    ({"lossy": {CHECK: ""}}, "needs a reason"),
    ({"lossy": {CHECK: None}}, "needs a reason"),
]


@pytest.mark.parametrize(("given", "message"), [*MISTAKES, ([CHECK], "must be a mapping")])
def test_pytest_refuses_what_can_come_to_nothing(lossy, given, message):
    with pytest.raises(InputError, match=message):
        parametrize_with_checks(lossy(), expected_failures=given)


@pytest.mark.parametrize(("given", "message"), MISTAKES)
def test_so_does_the_module_on_both_routes(lossy, run_cli, given, message):
    name = lossy(f"EXPECTED_FAILURES = {given!r}")

    with pytest.raises(InputError, match=message):
        parametrize_with_checks(name)
    for argument in (name, "lossy"):
        done = run_cli("check", argument)
        assert (done.code, done.out) == (4, "")
        assert message in done.err
        assert "bdbench_lossy.conformance" in done.err or "does_litle" in done.err


@pytest.mark.parametrize("name", ["SETTINGS", "KNOWN_VALUES"])
def test_what_is_supplied_for_nobody_is_refused(lossy, run_cli, name):
    done = run_cli("check", lossy(f"{name} = {{'losy': {{}}}}"))

    assert done.code == 4
    assert f"bdbench_lossy.conformance.{name}: losy" in done.err
    assert "write 'lossy'" in done.err


def test_a_module_that_cannot_be_imported_is_told_of(lossy, run_cli):
    done = run_cli("check", lossy("import nunpy"))

    assert done.code == 4
    assert "ModuleNotFoundError: No module named 'nunpy'" in done.err


def test_a_plugin_without_components_is_no_test_that_passes(fake_dist):
    fake_dist("bdbench-empty", "")

    with pytest.raises(PluginError, match="no components, so there is nothing to check"):
        parametrize_with_checks("bdbench-empty")
