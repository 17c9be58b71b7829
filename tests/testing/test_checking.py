"""Checks as data: what is chosen, expected, skipped, reported, and run elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bdbench.api import InputError, PluginError
from bdbench.testing import CheckFailedError, Outcome, check_component, check_distribution
from bdbench.testing.check import checks_for
from bdbench.testing.elsewhere import Elsewhere, imported_by
from bdbench.testing.running import components_of
from bdbench.testing.subject import Subject
from bdbench.testing.traces import differences, fingerprint, trace

ONLY = ("poison_rate_exact", "mask_marks_exactly_changed")


def names(component):
    return {check.name for check in checks_for(component.spec)}


def test_checks_are_chosen_by_what_is_declared(broken):
    data, edits = broken["sound-attack"], broken["sound-edits"]
    screen, filters, repair = (broken[f"sound-{kind}"] for kind in ("screen", "filter", "repair"))

    assert "poison_rate_exact" in names(data) - names(edits)
    assert "tampering_writes_new_model" in names(edits) - names(data)
    assert "screen_is_batch_invariant" in names(screen) - names(filters)
    assert "decision_lengths_match" in (names(screen) & names(filters)) - names(repair)
    assert "grid_settings_are_valid" in names(repair) - names(screen)
    assert "citation_parses" in names(screen) - names(filters)
    assert "known_values" in names(broken["sound-metric"]) - names(data)
    assert "works_blind" not in names(data)


def test_a_failure_tells_who_what_was_found_and_what_was_expected(broken):
    report = check_component(broken["poison-rate-exact"], only=ONLY)

    assert [result.check for result in report.results] == list(ONLY)
    failed, passed = report.results
    assert passed.outcome is Outcome.PASSED
    assert failed.error["where"] == "bdbench-broken/poison-rate-exact"
    assert failed.error["found"] == "9 of 96 rows at rate 0.1"
    assert failed.error["expected"].startswith("10, a share of all training rows")
    assert "9 of 96" in failed.reason
    with pytest.raises(CheckFailedError, match="1 of 2 checks failed"):
        report.raise_for_failures()
    plain = report.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert [check["outcome"] for check in plain["checks"]] == ["failed", "passed"]


def test_an_expected_failure_is_one_and_a_pass_is_not(broken):
    expected = dict.fromkeys(ONLY, "one row is left for later")

    report = check_component(broken["poison-rate-exact"], only=ONLY, expected_failures=expected)

    outcomes = [result.outcome for result in report.results]
    assert outcomes == [Outcome.EXPECTED_FAILURE, Outcome.UNEXPECTED_PASS]
    assert report.results[0].reason == "one row is left for later"
    assert not report.ok
    report = check_component(
        broken["poison-rate-exact"], only=ONLY[:1], expected_failures={ONLY[0]: "later"}
    )
    assert report.ok


def test_a_crash_is_no_expected_failure(broken, monkeypatch):
    from bdbench.testing import CHECKS

    def crash(subject):
        raise ZeroDivisionError("in the check")

    monkeypatch.setitem(CHECKS, ONLY[0], replace(CHECKS[ONLY[0]], run=crash))
    report = check_component(
        broken["sound-attack"], only=ONLY[:1], expected_failures={ONLY[0]: "later"}
    )

    assert report.results[0].outcome is Outcome.FAILED
    assert "ZeroDivisionError" in report.results[0].error["traceback"]


@pytest.mark.parametrize("argument", ["only", "expected_failures"])
def test_a_check_that_does_not_exist_is_refused(broken, argument):
    value = {"poison_rate_exakt": "why"}

    with pytest.raises(InputError, match="write 'poison_rate_exact'"):
        check_component(broken["sound-attack"], **{argument: value})


def test_a_bare_spec_will_do(broken):
    report = check_component(broken["sound-screen"].spec, only=["works_blind", "spec_is_light"])

    assert report.ok
    assert report.component == "bdbench-broken/sound-screen"


def test_settings_can_be_given(broken):
    report = check_component(
        broken["sound-attack"], settings={"poison_rate": 0.9}, only=["runs_on_cpu"]
    )

    (result,) = report.results
    assert "the poison rate cannot be met" in result.reason


def test_what_acts_elsewhere_ends_alone(broken, tmp_path):
    process = Elsewhere()
    here = Subject(broken["sound-screen"]).first.results
    there = process.act(broken["sound-screen"], {}, tmp_path)

    assert differences(here, there) == []
    with pytest.raises(RuntimeError, match="it never worked"):
        process.act(broken["runs-on-cpu"], {}, tmp_path)
    assert differences(here, process.act(broken["sound-screen"], {}, tmp_path)) == []
    process.close()
    assert process.ended
    with pytest.raises(RuntimeError, match="the process ended"):
        process.act(broken["sound-screen"], {}, tmp_path)


def test_what_a_fresh_interpreter_imports():
    assert "torch" not in imported_by("bdbench.api")
    assert "torch" in imported_by("bdbench.testing.perceptron")
    with pytest.raises(RuntimeError, match="no_such_module"):
        imported_by("no_such_module")


def test_a_distribution_or_a_component_is_found_by_name(broken):
    names = {item.spec.name for item in components_of("bdbench-broken")}
    assert names == {name for name in broken if not name.startswith("hooks-are-plain")}
    assert components_of("sound-screen") == [broken["sound-screen"]]
    assert components_of("bdbench-broken/sound-screen") == [broken["sound-screen"]]
    with pytest.raises(PluginError, match="write 'sound-screen'"):
        components_of("sound-scren")


def test_a_plugin_that_cannot_be_loaded_has_nothing_to_check(fake_dist):
    fake_dist("bdbench-no-good", "raise ValueError('never')")

    with pytest.raises(PluginError, match="broken, so there is nothing to check"):
        check_distribution("bdbench-no-good")


def test_traces_name_what_differs():
    one = trace("x", {"a": [1, 2], "b": ["p", None], "c": np.ones((2, 2)), "d": [b"\0", b"\0"]})
    other = trace("x", {"a": [1, 3], "b": ["p", "None"], "c": np.ones((2, 2)) + 1e-9, "d": [b""]})

    assert differences(one, one) == []
    assert differences(one, other) == ["x.a", "x.b", "x.d"]
    assert differences(one, trace("x", {"a": [1, 2]})) == ["x.b", "x.c", "x.d"]


@pytest.mark.parametrize(
    ("one", "other"),
    [([1], [1.0]), (["a", "b"], ["ab"]), ({"a": 1}, {"b": 1}), (np.zeros(2), np.zeros((2, 1)))],
)
def test_fingerprints_tell_values_apart(one, other):
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(other)
