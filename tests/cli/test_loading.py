"""What plugins say while loaded is no output; names that clash or disable nothing are told."""

from __future__ import annotations

import json

import pytest

NOISY = """
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

print("hello from the import")

@hookimpl
def bdbench_register_defenses():
    print("hello from the hook")
    return [DefenseSpec(name="noisy", target="bdbench_noisy.code:Noisy", summary="Says a lot.",
                        config="bdbench_noisy.config:NoisyConfig",
                        stages=frozenset({DefenseStage.SCREEN}))]
"""
CONFIG = """
from bdbench.api import ComponentConfig

print("hello from the settings")

class NoisyConfig(ComponentConfig):
    pass
"""


@pytest.fixture
def noisy(fake_dist):
    fake_dist("bdbench-noisy", NOISY, modules={"config": CONFIG})


@pytest.mark.parametrize("command", [["list"], ["plugins"], ["doctor"], ["show", "noisy"]])
def test_what_a_plugin_prints_does_not_get_into_the_json(bdbench, noisy, command):
    done = bdbench(*command, "--json")

    assert json.loads(done.out)
    assert "hello from the import\nhello from the hook\n" in done.err
    assert ("hello from the settings" in done.err) == (command[0] == "show")


def test_what_an_observer_prints_is_no_output_either(fake_dist, bdbench_host, capsys):
    source = "from bdbench.api import hookimpl\n@hookimpl\n"
    fake_dist("bdbench-noisy", source + "def bdbench_run_finished(event): print('bye')\n")

    assert bdbench_host("bdbench-noisy").notify("bdbench_run_finished", None) == []
    assert capsys.readouterr() == ("", "bye\n")


def test_a_name_that_disables_nothing_is_told_once(bdbench, toy):
    done = bdbench("run", toy, "--plan", "--no-plugin", "bdbench-toi", "--no-plugin", "zzz")

    told = [line for line in done.err.splitlines() if "nothing installed is called" in line]
    said = "warning: BDBENCH_DISABLE_PLUGINS or --no-plugin: nothing installed is called "
    assert told == [
        f"{said}'bdbench-toi'; did you mean 'bdbench-toy'?",
        f"{said}'zzz'; see `bdbench plugins`",
    ]
    assert done.code == 0


def test_a_name_that_is_written_otherwise_is_no_mistake(bdbench):
    done = bdbench("list", "--no-plugin", "Bdbench_TOY")

    assert "toy-mean" not in done.out
    assert "nothing installed is called" not in done.err


@pytest.mark.parametrize("command", [["plugins"], ["doctor"], ["list"]], ids=" ".join)
def test_every_command_that_loads_plugins_tells_it(bdbench, command):
    assert "nothing installed is called 'zzz'" in bdbench(*command, "--no-plugin", "zzz").err


NAMESAKE = """
from bdbench.api import ExecutorSpec, ModelSpec, ReporterSpec, hookimpl

@hookimpl
def bdbench_register_reporters():
    names = ("csv", "html", "json", "markdown", "table")
    return [ReporterSpec(name=name, target="nowhere:Thing", summary="A fake.") for name in names]

@hookimpl
def bdbench_register_executors():
    return [ExecutorSpec(name="local", target="nowhere:Thing", summary="A fake.")]

@hookimpl
def bdbench_register_models():
    return [ModelSpec(name="folder", target="nowhere:Thing", summary="A fake.")]
"""


@pytest.fixture
def namesake(fake_dist):
    """A plugin with components that are called like the host's own."""
    fake_dist("bdbench-namesake", NAMESAKE)


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown"])
def test_what_the_host_means_is_its_own_whatever_plugins_bring(
    bdbench, namesake, finished_run, form
):
    finished_run()

    assert bdbench("leaderboard", form).code == 0
    assert bdbench("leaderboard").code == 0
    assert bdbench("report", "--out", "-").out.startswith("<!doctype html>")
    # What a user writes may mean either.
    done = bdbench("report", "--format", "html")
    assert done.code == 4
    assert "Expected one of these full names" in done.err


def test_the_hosts_executor_and_models_are_its_own(bdbench, namesake, toy, tmp_path):
    suite = tmp_path / "suite.yaml"
    suite.write_text(toy.read_text("utf-8").replace("toy-linear", "./nowhere"), "utf-8")

    assert f"{tmp_path}/nowhere" in bdbench("run", suite, "--plan").err
    done = bdbench("run", toy, "--executor-set", "nonsense=1")
    assert done.code == 4
    assert "--executor bdbench/local" in done.err


def test_a_conflict_is_mended_by_full_names_for_the_host_too(bdbench, namesake):
    checks = json.loads(bdbench("doctor", "--json").out)

    told = {check["next"] for check in checks if check["name"] == "plugin bdbench"}
    assert told == {"", "write one of the full names, or leave the other one out"}
