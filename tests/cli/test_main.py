"""How commands end: exit codes, mistakes told on stderr, data alone on stdout."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from importlib import metadata

import click
import pytest

from bdbench.cli import listing, main
from bdbench.cli.exits import Exit
from bdbench.cli.main import COMMANDS, run


def test_help_names_every_command_and_the_exit_codes(bdbench):
    done = bdbench("--help")

    assert done.code == 0
    assert all(command in done.out for command in COMMANDS)
    assert (
        "Exit codes: 0 ok, 1 some cells failed or were not reproduced, 2 interrupted, 3 internal "
        "error, 4 usage, configuration or plugin error, 5 nothing to run, 6 a row fails a check."
    ) in " ".join(done.out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(bdbench, command):
    done = bdbench(command, "--help")

    assert done.code == 0
    assert "--debug" in done.out
    assert "--no-plugin" in done.out
    # What the overview says of it does not stray from what it says itself.
    assert done.out.startswith(f"Usage: bdbench {command}")


def test_the_version_is_that_of_the_distribution(bdbench):
    done = bdbench("--version")

    assert (done.code, done.out) == (0, f"bdbench, version {metadata.version('bdbench')}\n")


USAGE = {
    "no command": [],
    "unknown command": ["rnu"],
    "unknown option": ["list", "--frobnicate"],
    "option without value": ["run", "--limit"],
    "no number": ["run", "--limit", "many"],
    "too small a number": ["run", "--limit", "1"],
    "no workers": ["run", "--workers", "0"],
    "unknown choice": ["list", "--kind", "weapon"],
    "an argument too many": ["list", "more"],
    "nothing to show": ["show"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_a_usage_error_ends_with_4_and_says_so_on_stderr(bdbench, arguments):
    done = bdbench(*arguments)

    assert (done.code, done.out) == (Exit.BAD_INPUT, "")
    assert done.err
    assert "Traceback" not in done.err


def test_a_misspelled_command_is_suggested(bdbench):
    assert "'leaderboard'" in bdbench("leaderbord").err


def test_a_mistake_of_the_user_is_one_paragraph_without_a_traceback(bdbench):
    done = bdbench("run", "nowhere.yaml")

    assert done.code == 4
    assert done.out == ""
    assert done.err.startswith("bdbench: nowhere.yaml: the suite cannot be read. Found ")
    assert len(done.err.splitlines()) == 1


def test_with_debug_a_mistake_has_its_traceback(bdbench):
    done = bdbench("run", "nowhere.yaml", "--debug")

    assert done.code == 4
    assert "Traceback (most recent call last)" in done.err
    assert "InputError" in done.err


@pytest.fixture
def failing(monkeypatch):
    """Makes ``bdbench list`` end with an error."""

    def failing(error):
        def fail():
            raise error

        monkeypatch.setattr(listing, "make_host", fail)

    return failing


def test_a_bug_ends_with_3_and_asks_for_debug(bdbench, failing):
    failing(ZeroDivisionError("division by zero"))

    plain, debug = bdbench("list"), bdbench("list", "--debug")

    assert plain.code == debug.code == Exit.INTERNAL_ERROR
    assert plain.err == (
        "bdbench: internal error: ZeroDivisionError: division by zero. "
        "Next: add --debug and report what it prints.\n"
    )
    assert "Traceback" in debug.err
    assert "add --debug" not in debug.err


@pytest.mark.parametrize("error", [KeyboardInterrupt, EOFError, click.Abort])
def test_an_interruption_ends_with_2(bdbench, failing, error):
    failing(error())

    assert bdbench("list").code == Exit.INTERRUPTED


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_message_lets_no_hostile_name_act_on_the_terminal(bdbench, toy, tmp_path, debug):
    suite = tmp_path / "suite.yaml"
    suite.write_text(toy.read_text("utf-8") + '"\\e[31mkey\\u202E": 1\n', "utf-8")

    done = bdbench("run", suite, "--plan", *debug)

    assert done.code == 4
    assert "key" in done.err
    assert not {"\x1b", "\u202e"} & set(done.err)


@pytest.mark.parametrize("command", [["list"], ["--help"], ["show", "quickstart"]])
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_has_seen_enough_is_no_error(command, home):
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bdbench", *command],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        os.close(write)

    assert (done.returncode, done.stderr) == (0, "")


# --- data on stdout -----------------------------------------------------------------------------

DATA = {
    "list": ["list", "--json"],
    "plugins": ["plugins", "--json"],
    "keys": ["show", "--suite-keys", "--json"],
    "one component": ["show", "toy-mean", "--json"],
    "two of a name": ["show", "none", "--json"],
    "doctor": ["doctor", "--json"],
}


@pytest.mark.parametrize("arguments", DATA.values(), ids=DATA)
def test_json_is_all_that_is_on_stdout(bdbench, arguments):
    done = bdbench(*arguments)

    assert json.loads(done.out)
    assert done.out.isascii()


def test_warnings_do_not_stand_among_data(bdbench, monkeypatch):
    from bdbench.host.catalog import Host
    from bdbench.host.plugins import PluginState

    def broken(self):
        (plugin,) = (plugin for plugin in self.plugins if plugin.distribution == "bdbench-toy")
        plugin.refuse(PluginState.BROKEN, "no \x1b[31mreason")
        return [plugin]

    monkeypatch.setattr(Host, "broken", broken)
    done = bdbench("list", "--json")

    assert json.loads(done.out)
    assert done.err == ("warning: plugin bdbench-toy:toy is broken: no \\u001b[31mreason\n")


def test_a_plugin_can_be_left_out(bdbench, toy):
    left_out = ["--no-plugin", "bdbench-toy"]

    assert "toy-mean" in bdbench("list").out
    assert "toy-mean" not in bdbench("list", *left_out).out
    assert "toy-blobs" in bdbench("run", toy, "--plan", *left_out).err
    states = json.loads(bdbench("plugins", "--json", *left_out).out)
    assert [item["state"] for item in states if item["distribution"] == "bdbench-toy"] == [
        "disabled"
    ]


def test_what_is_left_out_is_left_out_by_workers_too(bdbench):
    bdbench("list", "--no-plugin", "bdbench-toy", "--no-plugin", "other")

    # They inherit the environment, to which what stood there before still belongs.
    assert os.environ["BDBENCH_DISABLE_PLUGINS"] == "mlflow,bdbench-toy,other"


def test_commands_are_imported_when_they_are_called():
    code = "import sys, bdbench.cli.main; print([m for m in sys.modules if 'bdbench.cli.' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "['bdbench.cli.exits', 'bdbench.cli.main']\n"


def test_every_command_has_a_module():
    for command in COMMANDS:
        assert main.main.get_command(None, command).name == command


def test_a_terminal_of_few_characters_is_no_error(finished_run, home, monkeypatch):
    finished_run(label="merge→ü")
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", out)

    with pytest.raises(SystemExit) as ended:
        run(["leaderboard"])

    out.flush()
    assert ended.value.code == 0
    assert "merge\\u2192ü".encode("latin-1") in out.buffer.getvalue()
