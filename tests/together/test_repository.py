"""What the repository says of its plugins in several places is the same everywhere."""

import configparser
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.utils import canonicalize_name

from bdbench.host.catalog import Host

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))


def read(plugin):
    return tomllib.loads((plugin / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def host():
    return Host()


def test_every_plugin_is_ok_with_all_others_installed(host):
    states = {plugin.distribution: (plugin.state, plugin.reason) for plugin in host.plugins}
    assert {plugin.name for plugin in PLUGINS} <= set(states)
    assert {state for state, _ in states.values()} == {"ok"}, states


def test_the_registry_lists_what_the_plugins_bring(host):
    registry = yaml.safe_load((ROOT / "registry.yaml").read_text("utf-8"))["plugins"]
    listed = {entry["distribution"]: set(entry["provides"]) for entry in registry}
    brought = {
        plugin.distribution: {f"{item.spec.kind}:{item.spec.name}" for item in plugin.components}
        for plugin in host.plugins
        if plugin.distribution in {path.name for path in PLUGINS}
    }
    assert listed == brought


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_follows_the_pattern(plugin):
    project = read(plugin)["project"]
    package = plugin.name.replace("-", "_")
    short = plugin.name.removeprefix("bdbench-")
    assert project["name"] == plugin.name
    assert project["license"] == "Apache-2.0"
    assert project["entry-points"]["bdbench"] == {short: f"{package}.hooks"}
    assert any(item.startswith("bdbench>=0.1,<0.2") for item in project["dependencies"])
    assert not any("==" in item for item in project["dependencies"])
    for name in ("README.md", f"src/{package}/py.typed", f"src/{package}/hooks.py"):
        assert (plugin / name).is_file(), name
    assert list(plugin.glob("tests/test_*.py"))


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_only_what_is_public(plugin):
    allowed = re.compile(r"bdbench\.(api|toolkit|testing)\b|bdbench_")
    for path in plugin.rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            found = re.match(r"\s*(?:from|import)\s+(bdbench[\w.]*)", line)
            if found and "benchmarks" not in path.parts:
                assert allowed.match(found[1]), f"{path.relative_to(ROOT)}: {line}"


def test_tox_runs_every_plugin_alone_and_all_together():
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    names = {plugin.name.removeprefix("bdbench-") for plugin in PLUGINS}
    assert names <= set(tox["tox"]["env_list"].split())
    alone = next(name for name in tox.sections() if name.startswith("testenv:{"))
    assert set(alone.removeprefix("testenv:{").rstrip("}").split(",")) == names
    for name in names:
        assert f"bdbench-{name}" in tox["testenv:all"]["deps"]
        assert f"bdbench-{name}" in tox["testenv:type"]["commands"]


def test_the_tested_pins_cover_every_requirement():
    pins = (ROOT / "requirements.txt").read_text("utf-8")
    pinned = {canonicalize_name(line.split("==")[0]) for line in pins.splitlines() if "==" in line}
    for project in (ROOT, *PLUGINS):
        for requirement in read(project)["project"]["dependencies"]:
            name = canonicalize_name(re.match(r"[\w.-]+", requirement)[0])
            assert name.startswith("bdbench") or name in pinned, (project.name, name)


def test_what_a_defense_rests_on_is_among_the_requirements_of_a_lock(run_cli):
    done = run_cli("export-lock", "sms-core", "--requirements")

    assert done.code == 0
    assert f"wordfreq=={metadata.version('wordfreq')}" in done.out.splitlines()


ON_COPIES = re.compile(
    r"bdbench run ((?:sst2|agnews)-(?:core|variants|matched|merging|collusion|paraphrase))\b"
)
"""Presets whose figures here are of data that may not be shipped."""


def test_commands_for_figures_of_data_that_may_not_be_shipped_name_the_data():
    documents = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/*.md")]
    named = set()
    for path in documents:
        text = path.read_text("utf-8")
        for found in ON_COPIES.finditer(text):
            named.add(found[1])
            what_follows = text[found.end() : found.end() + 20]
            assert "--data" in what_follows, f"{path.relative_to(ROOT)}: {found[0]}{what_follows}"
    assert {"sst2-core", "sst2-paraphrase", "sst2-collusion", "sst2-merging"} <= named
