"""``bdbench run --plan``: shows what a run would do, and does nothing."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from bdbench.cli import run as run_module
from bdbench.home import Home
from bdbench.store.objects import Store
from bdbench.suite.load import load_suite
from bdbench.suite.plan import Wanted
from bdbench.suite.planning import build_plan
from bdbench.suite.resolve import resolve


@pytest.fixture
def plan(bdbench, toy):
    """The cells of the toy suite's plan."""

    def plan(*arguments):
        done = bdbench("run", toy, "--plan", "--json", *arguments)
        assert done.code in {0, 5}, done.err
        return json.loads(done.out)["cells"]

    return plan


def test_a_plan_lists_every_cell_and_writes_nothing(bdbench, toy, home):
    done = bdbench("run", toy, "--plan")

    assert done.code == 0
    lines = done.out.splitlines()
    assert "+ to run      toy-blobs · toy-linear · toy-patch · toy-mean+toy-clip · seed 1" in lines
    assert "28 cells: 28 to run" in lines
    assert lines[-1].startswith("stages to run: 1 data, ")
    assert not home.exists()


def test_a_plan_as_json_has_every_cell_with_its_identity(bdbench, toy, home):
    document = json.loads(bdbench("run", toy, "--plan", "--json").out)

    assert document["schema"] == "bdbench.plan/1"
    assert document["suite"] == "toy"
    assert document["stages_to_run"]["data"] == 1
    assert len(document["cells"]) == 28
    assert len({cell["cell_id"] for cell in document["cells"]}) == 28
    assert set(document["cells"][0]) == {
        *("cell_id", "dataset", "model", "attack", "defense", "seed"),
        *("status", "reason", "needs"),
    }
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "cells"),
    [
        (["--defense", "toy-mean"], 8),
        (["--defense", "toy-mean", "--defense", "none"], 8),
        (["--attack", "none"], 14),
        (["--defense", "toy-mean+toy-clip", "--attack", "toy-patch"], 6),
        (["--dataset", "toy-blobs", "--model", "toy-linear"], 28),
        (["--seeds", "4"], 14),
        (["--seeds", "0,1,2"], 42),
        (["--seeds", "0,1", "--defense", "none", "--attack", "none"], 2),
    ],
)
def test_filters_and_seeds_pick_cells(plan, arguments, cells):
    assert len(plan(*arguments)) == cells


def test_filters_keep_the_identity_of_a_cell(plan):
    whole = {cell["cell_id"] for cell in plan()}

    assert {cell["cell_id"] for cell in plan("--defense", "toy-mean")} < whole


@pytest.mark.parametrize("kind", ["dataset", "model", "attack", "defense"])
def test_a_filter_that_names_nothing_is_told_what_there_is(bdbench, toy, kind):
    done = bdbench("run", toy, "--plan", f"--{kind}", "gone")

    assert done.code == 4
    assert f"--{kind} gone: the suite has " in done.err


@pytest.mark.parametrize("seeds", ["", "a", "0,", "0;1", "1.5", "0,0", "-1"])
def test_seeds_that_are_not_distinct_numbers_are_refused(bdbench, toy, seeds):
    done = bdbench("run", toy, "--plan", f"--seeds={seeds}")

    assert (done.code, done.out) == (4, "")
    assert "number" in done.err


def test_spaces_between_seeds_are_no_matter(plan):
    assert {cell["seed"] for cell in plan("--seeds", "3, 5")} == {3, 5}


def test_settings_are_overridden(plan):
    before = {cell["defense"]: cell["cell_id"] for cell in plan("--seeds", "0", "--attack", "none")}
    after = {
        cell["defense"]: cell["cell_id"]
        for cell in plan(
            *("--seeds", "0", "--attack", "none"), *("--set", "defenses.toy-mean.strength=2")
        )
    }

    changed = {label for label in before if before[label] != after[label]}
    assert changed == {"toy-mean"}


def test_a_limit_makes_other_cells(plan):
    assert not {cell["cell_id"] for cell in plan()} & {
        cell["cell_id"] for cell in plan("--limit", "50")
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "training.epoch=1"], "write 'epochs'"),
        (["--set", "training.epochs"], "key=value"),
        (["--set", "attacks.toy-patch.poison_rate=2"], "less than 1"),
        (["--set", "defenses=[toy-maen]"], "write 'toy-mean'"),
    ],
)
def test_an_override_that_does_not_fit_ends_with_4(bdbench, toy, arguments, words):
    done = bdbench("run", toy, "--plan", *arguments)

    assert done.code == 4
    assert words in done.err


def test_what_cannot_run_is_shown_with_its_reason(bdbench, toy):
    done = bdbench("run", toy, "--plan", "--set", "defender.references=[]")

    assert done.code == 0
    (line, *_) = (line for line in done.out.splitlines() if "· toy-mean ·" in line)
    assert line.startswith("x cannot run")
    assert line.endswith("(defender.references)")


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_plan_of_which_nothing_can_run_ends_with_5(bdbench, toy, as_json, monkeypatch):
    monkeypatch.setattr("bdbench.suite.planning.obstacle", lambda *_: "a reason")

    assert bdbench("run", toy, "--plan", *as_json).code == 5


def test_what_is_in_the_store_is_shown_as_cached(bdbench, toy, home, toy_host):
    suite = load_suite(str(toy), toy_host, ["seeds=[0]"])
    plan = build_plan(resolve(suite, toy_host), Wanted(attacks={"none"}, defenses={"none"}))
    for key, stage in plan.stages.items():
        Store(home / "store").ensure(stage.kind, key, lambda folder: {})

    done = bdbench("run", toy, "--plan", "--seeds", "0", "--attack", "none", "--defense", "none")

    assert done.out.splitlines()[0].startswith("= cached")
    assert done.out.splitlines()[-1] == "stages to run: none"


def test_the_home_on_the_command_line_wins(bdbench, toy, home, tmp_path):
    (tmp_path / "taken").write_text("", "utf-8")

    done = bdbench("run", toy, "--plan", "--home", tmp_path / "taken")

    assert done.code == 4


HUB = ["'hf:org/bert@{}'", "hub: {{name: org/bert, revision: '{}'}}"]


@pytest.mark.parametrize("revision", ["<commit>", "v 1", "a<b", "x>"])
@pytest.mark.parametrize("item", HUB, ids=["short", "whole"])
def test_what_can_be_no_revision_is_refused_with_its_place(bdbench, tmp_path, item, revision):
    suite = tmp_path / "mine.yaml"
    entry = item.format(revision)
    rest = "attacks: [none]\ndefenses: [none]\n"
    suite.write_text(f"name: s\ndatasets: [toy-blobs]\nmodels: [{entry}]\n{rest}", "utf-8")

    done = bdbench("run", suite, "--plan")

    assert done.code == 4
    assert "mine.yaml:3: models.0." in done.err
    assert "hub: org/bert: a source on the Hugging Face Hub needs a fixed revision" in done.err
    assert f"Found revision: {revision}. Expected a commit or a tag" in done.err
    assert "or write it behind `hf:org/bert@`" in done.err


def test_an_unknown_preset_is_suggested(bdbench):
    done = bdbench("run", "quikstart", "--plan")

    assert done.code == 4
    assert "write 'quickstart'" in done.err


def test_a_long_plan_is_cut_for_people_and_whole_for_machines(bdbench, toy, plan):
    seeds = ",".join(map(str, range(20)))

    lines = bdbench("run", toy, "--plan", "--seeds", seeds).out.splitlines()

    assert sum("seed" in line for line in lines) == 200
    assert "... and 80 more cells (all with --json)" in lines
    assert len(plan("--seeds", seeds)) == 280


def test_hostile_names_do_not_act_on_the_terminal(bdbench, toy, tmp_path):
    suite = tmp_path / "suite.yaml"
    text = toy.read_text("utf-8").replace(
        "datasets: [toy-blobs]", 'datasets: [{toy-blobs: {}, name: "\\e[31m\\u202Ex"}]'
    )
    suite.write_text(text, "utf-8")

    for arguments, code in (([], 0), (["--json"], 0), (["--dataset", "gone"], 4)):
        done = bdbench("run", suite, "--plan", *arguments)
        assert done.code == code
        assert not {"\x1b", "\u202e"} & set(done.out + done.err)


def test_an_unknown_executor_is_suggested_before_anything_runs(bdbench, toy, home):
    done = bdbench("run", toy, "--executor", "lokal")

    assert done.code == 4
    assert "write 'local'" in done.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--executor", "lokal"], "write 'local'"),
        (["--executor-set", "workerz=2"], "write 'workers'"),
        (["--executor-set", "isolation=walls"], "isolation"),
        (["--executor-set", "memory_gib"], "write KEY=VALUE"),
        (["--executor", "inline", "--workers", "2"], "workers"),
    ],
)
def test_a_plan_tells_of_an_executor_that_does_not_fit(bdbench, toy, home, arguments, words):
    done = bdbench("run", toy, "--plan", *arguments)

    assert (done.code, done.out) == (4, "")
    assert words in done.err
    assert not home.exists()


def test_a_plan_with_an_executor_that_fits_writes_nothing(bdbench, toy, home):
    done = bdbench("run", toy, "--plan", "--executor-set", "isolation=process", "--workers", "2")

    assert done.code == 0
    assert not home.exists()


def test_workers_are_for_executors_that_have_them(bdbench, toy, home):
    done = bdbench("run", toy, "--executor", "inline", "--workers", "2")

    assert done.code == 4
    assert "workers" in done.err
    assert not home.exists()


def test_what_comes_next_is_written_as_a_shell_takes_it(capsys, home, tmp_path):
    suite = SimpleNamespace(name="my suite", seeds=[0])
    plan = SimpleNamespace(resolved=SimpleNamespace(suite=suite))

    run_module._say_what_next("a suite.yaml", plan, Home(tmp_path / "a home"), tmp_path)

    told = capsys.readouterr().err
    option = f"--home '{tmp_path}/a home'"
    assert f"bdbench report 'my suite' {option} " in told
    assert f"bdbench run 'a suite.yaml' --seeds 0,1,2 {option} " in told
