"""Each broken component fails exactly the check that is meant for it; sound ones fail none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bdbench.testing import CHECKS, Outcome, check_component

BROKEN = Path(__file__).parent / "broken"


def _names():
    text = "".join(path.read_text("utf-8") for path in sorted(BROKEN.glob("*/hooks.py")))
    return re.findall(r"""(?:attack|defense|metric|Spec,)\(?\s*"([a-z0-9-]+)",""", text)


NAMES = _names()


def _check(name):
    return re.sub(r"-\d$", "", name).replace("-", "_")


@pytest.mark.parametrize("name", NAMES)
def test_only_the_check_that_is_meant_for_it_fails(broken, name):
    report = check_component(broken[name])

    expected = [] if name.startswith("sound-") else [_check(name)]
    assert [result.check for result in report.failed] == expected, [
        (result.check, result.reason) for result in report.failed
    ]
    assert report.ok == (not expected)


def test_every_component_is_tested(broken):
    assert sorted(NAMES) == sorted(broken)


def test_every_check_has_a_component_that_it_finds(broken):
    assert set(CHECKS) == {_check(name) for name in NAMES if not name.startswith("sound-")}
    assert str(BROKEN) in sys.path


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.startswith("sound-") and name != "sound-edits"]
)
def test_nearly_all_checks_of_a_sound_component_are_made(broken, name):
    skipped = {result.check for result in check_component(broken[name]).of(Outcome.SKIPPED)}

    assert skipped <= {"runs_for_each_task", "works_with_the_least_it_needs"}


@pytest.mark.parametrize("name", sorted({_check(name) for name in NAMES} & set(CHECKS)))
def test_a_check_says_what_it_is_about(name):
    assert CHECKS[name].summary.endswith(".")
    assert len(CHECKS[name].summary) < 100
