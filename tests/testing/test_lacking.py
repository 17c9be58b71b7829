"""Modules that are missing: only what a plugin's metadata names may lack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bdbench.testing import Outcome, check_component
from bdbench.testing.lacking import why_it_may_lack
from bdbench.testing.running import components_of
from bdbench.testing.subject import Subject

MOVED = """
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(
        name="early",
        target="bdbench_early.defense:Early",
        summary="Imports its library at the top.",
        stages=frozenset({DefenseStage.SCREEN}),
    )]
"""


@pytest.mark.parametrize(
    ("module", "may"),
    [
        ("nltk", True),  # under an extra
        ("nltk.corpus", True),
        ("sklearn", True),  # the distribution has another name
        ("sentence_transformers", True),
        ("nunpy", False),
        ("bdbench_broken.atacks", False),
        ("", False),
    ],
)
def test_what_the_metadata_names_may_lack(broken, module, may):
    component = broken["sound-attack"]
    missing = ModuleNotFoundError(f"No module named {module!r}", name=module)

    assert bool(why_it_may_lack(component, missing)) == may
    nowhere = replace(component, distribution="bdbench-not-installed")
    assert not why_it_may_lack(nowhere, missing)


def test_a_missing_optional_package_skips(broken, monkeypatch):
    def act(self, **_):
        raise ModuleNotFoundError("No module named 'nltk'", name="nltk")

    monkeypatch.setattr(Subject, "act", act)
    report = check_component(broken["sound-attack"], only=["runs_on_cpu", "same_seed_same_result"])

    assert [result.outcome for result in report.results] == [Outcome.SKIPPED] * 2
    assert report.results[0].reason == "nltk is not installed"


def test_a_method_that_never_ran_does_not_pass(broken, run_cli):
    done = run_cli("check", "runs-on-cpu-3")

    assert done.code == 1
    assert "No module named 'nunpy'" in done.out
    assert "of what bdbench-broken names under dependencies or an extra" in done.out


@pytest.mark.parametrize(
    ("requires", "outcome"), [("odd-one; extra == 'x'", Outcome.SKIPPED), ("", Outcome.FAILED)]
)
def test_a_library_at_the_top_of_the_module_is_held_to_the_same(fake_dist, requires, outcome):
    defense = "from bdbench.api import Defense\nimport odd_one\n\nclass Early(Defense):\n    pass\n"
    folder = fake_dist("bdbench-early", MOVED, modules={"defense": defense})
    if requires:
        with (folder.parent / "bdbench_early-1.0.dist-info" / "METADATA").open("a") as file:
            file.write(f"Requires-Dist: {requires}\n")
    (component,) = components_of("bdbench-early")

    (result,) = check_component(component, only=["target_resolves"]).results

    assert result.outcome is outcome
    assert "odd_one" in result.reason
