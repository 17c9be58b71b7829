"""``bdbench plugins install`` and ``uninstall``: what is planned, asked and refused."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from bdbench.host.installers import Installer

NAME = "bdbench-defense-fake"
NOTICE = "Listing is not endorsement."


@pytest.fixture
def called(monkeypatch):
    """The commands that would have been run."""
    called = []

    def call(self, command, folder):
        called.append(command)
        return subprocess.CompletedProcess(command, 1, stdout="no network")

    monkeypatch.setattr(Installer, "call", call)
    monkeypatch.setattr(
        "bdbench.host.install.find_installer", lambda wanted: Installer("pip", ["pip"])
    )
    return called


def test_install_shows_what_will_be_done_and_asks(bdbench, registry, called, monkeypatch):
    registry()
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)

    done = bdbench("plugins", "install", "fake")

    assert (done.code, called) == (0, [])
    for words in (
        f"{NAME} 1.0 (listed, community)",
        f"sha256  {'a' * 64}",
        f"into    {sys.executable}",
        "by      pip install ",
        f"{NAME}==1.0 --hash=sha256:{'a' * 64}",
        "A plugin is code that runs with your rights",
        NOTICE,
        "nothing was installed",
    ):
        assert words in done.err


def test_a_folder_named_like_a_listed_plugin_is_not_called_listed(
    bdbench, registry, called, monkeypatch, tmp_path
):
    registry()
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "{NAME}"\n[project.entry-points.bdbench]\nx = "x"\n', "utf-8"
    )

    done = bdbench("plugins", "install", "-e", str(tmp_path))

    assert f"{NAME} (named like a listed plugin; its files are not checked)" in done.err
    assert "listed, community" not in done.err


def test_yes_asks_nothing_and_a_failure_ends_with_4(bdbench, registry, called, monkeypatch):
    registry()
    monkeypatch.setattr("click.confirm", lambda *_, **__: pytest.fail("asked"))

    done = bdbench("plugins", "install", "fake", "--yes", "--no-index", "--find-links", "wheels")

    assert done.code == 4
    assert "nothing was changed. Found no network." in done.err.replace(
        f"{NAME}: pip did not install it; ", ""
    )
    # It was to be got and looked at, and that was all.
    (command,) = called
    assert command[:2] == ["pip", "download"]
    assert command[-3:] == ["--no-index", "--find-links", "wheels"]


def test_without_an_answer_nothing_is_installed(bdbench, registry, called, monkeypatch):
    registry()
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    done = bdbench("plugins", "install", "fake")

    assert (done.code, called) == (4, [])
    assert "nobody is here to answer: add --yes" in done.err


REFUSED = {
    "unlisted": (["bdbench-else==1.0"], "the registry does not list this plugin"),
    "near miss": (["bdbench-defence-fake"], f"did you mean {NAME}?"),
    "path": (["./fake"], "a path is not a plugin's name"),
    "torch": (["torch==1.0", "--unlisted"], "no plugin: it is not touched"),
    "both": (["fake", "-e", "fake"], "give the NAME of a plugin, or -e"),
    "neither": ([], "give the NAME of a plugin, or -e"),
    "no folder": (["-e", "nowhere"], "not the folder of a plugin"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_ends_with_4_and_calls_nothing(bdbench, registry, called, arguments, words):
    registry()

    done = bdbench("plugins", "install", "--yes", *arguments)

    assert (done.code, done.out, called) == (4, "", [])
    assert words in done.err


def test_a_plugin_of_this_repository_is_not_looked_for_on_an_index(bdbench, called):
    done = bdbench("plugins", "install", "onion", "--yes")

    assert (done.code, called) == (4, [])
    assert "no published wheel" in done.err


def test_uninstall_asks(bdbench, registry, unpack, make_wheel, called, monkeypatch):
    registry()
    unpack(make_wheel())
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)

    done = bdbench("plugins", "uninstall", "fake")

    assert (done.code, called) == (0, [])
    assert f"{NAME} 1.0" in done.err
    assert "nothing was removed" in done.err
    assert bdbench("plugins", "uninstall", "numpy", "--yes").code == 4
    assert called == []


@pytest.mark.parametrize("command", ["search", "info", "install", "uninstall", "verify"])
def test_every_command_explains_itself(bdbench, command):
    done = bdbench("plugins", command, "--help")

    assert done.code == 0
    assert "--debug" in done.out
    assert "--no-plugin" in done.out
