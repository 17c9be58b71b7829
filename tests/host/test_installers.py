"""pip and uv: which one is called, in which environment, and what it must leave in place."""

from __future__ import annotations

import json
import os
import sys

import pytest

from bdbench.api import PluginError
from bdbench.host import installers
from bdbench.host.installers import Installer, constraints, find_installer


def test_installed_packages_are_held_in_place():
    lines = constraints(frozenset({"numpy"})).splitlines()

    assert any(line.startswith("torch==") for line in lines)
    assert any(line.startswith("bdbench==") for line in lines)
    assert not any(line.startswith("numpy==") for line in lines)


def test_uv_is_told_pips_settings_which_it_does_not_read():
    variables = {"PIP_INDEX_URL": "https://a.org", "PIP_FIND_LINKS": "a  b", "HOME": "x"}

    uv = Installer("uv", ["uv"]).environment(variables)

    assert uv["UV_INDEX_URL"] == "https://a.org"
    assert uv["UV_FIND_LINKS"] == "a,b"
    assert "UV_NO_INDEX" not in uv
    own = Installer("uv", ["uv"]).environment({**variables, "UV_INDEX_URL": "https://b.org"})
    assert own["UV_INDEX_URL"] == "https://b.org"
    pip = Installer("pip", ["pip"]).environment(variables)
    assert pip == {**variables, "PIP_CONFIG_FILE": os.devnull}


@pytest.mark.parametrize(
    "name",
    [
        *("PIP_TARGET", "PIP_USER", "PIP_REQUIREMENT", "PIP_DRY_RUN", "PIP_CONFIG_FILE"),
        *("PIP_ANYTHING_NEW", "UV_NO_VERIFY_HASHES", "UV_NO_CACHE"),
    ],
)
def test_settings_that_lead_elsewhere_or_past_digests_do_not_count(name):
    for installer in (Installer("pip", ["pip"]), Installer("uv", ["uv"])):
        found = installer.environment({name: "1"})
        assert found.get(name) in {None, os.devnull}
        assert found.keys() <= {"PIP_CONFIG_FILE"}


def test_of_pips_files_only_where_to_ask_counts(tmp_path, monkeypatch):
    """What the program prints stands for `pip config list`, and for what pip is called with."""
    said = tmp_path / "said"
    said.write_text(
        "global.index-url='https://global.org'\n"
        "install.index-url='https://install.org'\n"
        "global.find-links='\\na\\nb'\n"
        "install.requirement='evil.txt'\n"
        "install.target='/elsewhere'\n"
        "freeze.timeout='1'\n"
        "global.timeout='60'\n"
    )
    program = tmp_path / "pip.py"
    program.write_text(
        "import json, os, sys\n"
        f"asked = open({str(said)!r}).read() if sys.argv[1] == 'config' else None\n"
        "kept = {name: os.environ[name] for name in os.environ if name.startswith('PIP_')}\n"
        "print(asked or json.dumps(kept))\n"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_TIMEOUT", "5")

    done = Installer("pip", [sys.executable, str(program)]).call(
        [sys.executable, str(program), "install"], tmp_path
    )

    found = json.loads(done.stdout)
    assert found == {
        "PIP_INDEX_URL": "https://install.org",
        "PIP_FIND_LINKS": "a b",
        "PIP_TIMEOUT": "5",
        "PIP_CONFIG_FILE": os.devnull,
    }


def test_pip_is_taken_if_it_is_here_else_uv(monkeypatch):
    monkeypatch.setattr(installers.importlib.util, "find_spec", lambda name: object())
    assert find_installer().name == "pip"
    monkeypatch.setattr(installers.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(installers.shutil, "which", lambda name, path=None: "/x/uv")
    assert find_installer().name == "uv"
    with pytest.raises(PluginError, match="no pip is here"):
        find_installer("pip")
    monkeypatch.setattr(installers.shutil, "which", lambda name, path=None: None)
    with pytest.raises(PluginError, match="neither pip nor uv is here"):
        find_installer()
