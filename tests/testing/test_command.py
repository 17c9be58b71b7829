"""`bdbench check`: what it prints where, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys

from bdbench.testing import CHECKS

SILENT = """
from bdbench.api import hookimpl

@hookimpl
def bdbench_register_attacks():
    [1, 2, 3]
"""
LOUD = """
import os
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

@hookimpl
def bdbench_register_defenses():
    print("hooks")
    return [DefenseSpec(
        name="loud",
        target="bdbench_loud.defense:Loud",
        summary="Prints.",
        stages=frozenset({DefenseStage.SCREEN}),
        tasks=frozenset({"vector-classification"}),
    )]
"""
PRINTING = """
import os
from bdbench.api import Defense, Screening

class Loud(Defense):
    def screen(self, rows, view):
        print("a line")
        os.write(1, b"past Python\\n")
        return Screening(rows, [False] * len(rows), [0.0] * len(rows))
"""


def test_it_prints_a_table_and_ends_with_one_on_failure(broken, run_cli):
    done = run_cli("check", "poison-rate-exact")

    assert done.code == 1
    lines = {line.split()[1]: line.split()[0] for line in done.out.splitlines() if line[:2] == "  "}
    assert lines["poison_rate_exact"] == "FAILED"
    assert lines["mask_marks_exactly_changed"] == "passed"
    assert lines["runs_for_each_task"] == "skipped"
    assert "9 of 96 rows at rate 0.1; expected 10" in done.out
    assert "\n1 component, " in done.out
    assert done.out.rstrip().endswith("1 skipped")


def test_as_json(broken, run_cli):
    done = run_cli("check", "bdbench-broken/sound-screen", "--json")

    assert done.code == 0
    (report,) = done.json()
    assert (report["component"], report["ok"]) == ("bdbench-broken/sound-screen", True)
    assert {"check", "outcome", "reason", "error", "seconds"} == set(report["checks"][0])


def test_several_names(broken, run_cli):
    done = run_cli("check", "sound-screen", "nan-policy", "sound-screen", "--json")

    assert done.code == 1
    assert [report["component"] for report in done.json()] == [
        "bdbench-broken/sound-screen",
        "bdbench-broken/nan-policy",
    ]


def test_some_checks_only(broken, run_cli):
    done = run_cli("check", "sound-screen", "--only", "works_blind", "--only", "citation_parses")

    assert done.code == 0
    assert "1 component, 2 checks: 2 passed" in done.out
    wrong = run_cli("check", "sound-screen", "--only", "work_blind")
    assert (wrong.code, "write 'works_blind'" in wrong.err) == (4, True)


def test_the_list_of_checks(run_cli):
    done = run_cli("check", "--list", "--json")
    assert done.code == 0
    assert {item["check"]: item["summary"] for item in done.json()} == {
        name: item.summary for name, item in CHECKS.items()
    }
    kinds = {item["check"]: item["kinds"] for item in done.json()}
    assert (kinds["nan_policy"], kinds["works_blind"]) == (["metric"], ["defense"])

    lines = run_cli("check", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(CHECKS)
    assert lines[0].endswith("(all)")


def test_nothing_named_and_nothing_installed(run_cli):
    assert run_cli("check").code == 4
    assert run_cli("check", "bdbench-defence-of-nobody").code == 4


def test_a_plugin_without_components_is_said_to_have_none(fake_dist, broken, run_cli):
    fake_dist("bdbench-silent", SILENT)

    done = run_cli("check", "bdbench-silent")
    assert (done.code, done.out) == (5, "")
    assert (
        "bdbench-silent has no components to check: bdbench_register_attacks returned None"
        in done.err
    )
    assert run_cli("check", "bdbench-silent", "sound-metric").code == 5
    assert run_cli("check", "bdbench-silent", "nan-policy").code == 1


def test_what_components_print_goes_elsewhere(fake_dist):
    folder = fake_dist("bdbench-loud", LOUD, modules={"defense": PRINTING})

    done = subprocess.run(
        [sys.executable, "-m", "bdbench", "check", "loud"],
        env={**os.environ, "PYTHONPATH": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert done.stdout.startswith("defense bdbench-loud/loud 1.0\n")
    for line in ("hooks", "a line", "past Python"):
        assert line in done.stderr.splitlines()
        assert line not in done.stdout.splitlines()
