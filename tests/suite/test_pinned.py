"""``plugins: pinned``: refused before and after import, and part of no identity."""

from __future__ import annotations

import zipfile

import pytest
import yaml

from bdbench.api import InputError, PluginError
from bdbench.host.catalog import Host
from bdbench.host.plugins import discover
from bdbench.host.wheels import read_wheel
from bdbench.suite import pinned
from bdbench.suite.pinned import check_before_import, check_plugins
from bdbench.suite.planning import build_plan

NAME = "bdbench-defense-fake"


@pytest.fixture
def installed(make_wheel, tmp_path, monkeypatch):
    """Installs a plugin that leaves a trace when it is imported, and pins it; nothing else is seen.

    Gives the folder of its package.
    """
    hooks = f"open({str(tmp_path / 'trace')!r}, 'w').close()\n"
    wheel = read_wheel(make_wheel(hooks=hooks))
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel.path) as archive:
        archive.extractall(site)
    monkeypatch.syspath_prepend(site)
    entry = {
        "name": "defense-fake",
        "distribution": NAME,
        "tier": "community",
        "summary": "A fake.",
        "provides": ["defense:fake"],
        "license": "MIT",
        "api": ">=1.0,<2",
        "pin": {"version": "1.0", "sha256": [wheel.sha256], "files": [wheel.files]},
    }
    registry = tmp_path / "registry.yaml"
    registry.write_text(yaml.safe_dump({"plugins": [entry]}), "utf-8")
    monkeypatch.setenv("BDBENCH_REGISTRY", str(registry))
    seen = {NAME, "bdbench"}
    monkeypatch.setattr(
        pinned, "discover", lambda: [item for item in discover() if item[0].distribution in seen]
    )
    return site / "bdbench_defense_fake"


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text("name: x\nplugins: pinned\n", "utf-8")
    return str(path)


def test_pinned_plugins_are_let_through(installed, suite):
    check_before_import(suite)


def test_a_changed_plugin_is_refused_before_it_is_imported(installed, suite, tmp_path):
    (installed / "__init__.py").write_text("x = 1\n", "utf-8")

    with pytest.raises(PluginError) as caught:
        check_before_import(suite)

    assert caught.value.found.startswith(f"{NAME} 1.0 (changed; ")
    assert caught.value.where == f"{suite}: plugins"
    assert not (tmp_path / "trace").exists()


def test_an_unlisted_plugin_is_refused(installed, suite, tmp_path):
    (tmp_path / "registry.yaml").write_text("plugins: []\n", "utf-8")

    with pytest.raises(PluginError, match="not in the registry"):
        check_before_import(suite)


@pytest.mark.parametrize(
    "name", [NAME, "defense-fake", f"{NAME}:defense-fake", "Bdbench_Defense.Fake", "defense_fake"]
)
def test_what_is_left_out_need_not_be_pinned(installed, suite, monkeypatch, name):
    (installed / "__init__.py").write_text("x = 1\n", "utf-8")
    monkeypatch.setenv("BDBENCH_DISABLE_PLUGINS", name)

    check_before_import(suite)


@pytest.mark.parametrize("text", ["name: x\n", "name: x\nplugins: any\n", "- 1\n"])
def test_who_demands_nothing_is_refused_nothing(installed, tmp_path, text):
    (installed / "__init__.py").write_text("x = 1\n", "utf-8")
    path = tmp_path / "other.yaml"
    path.write_text(text, "utf-8")

    check_before_import(str(path))
    check_before_import("quickstart")


def test_the_command_line_has_the_last_word(installed, suite):
    (installed / "__init__.py").write_text("x = 1\n", "utf-8")

    check_before_import(suite, ["plugins=any"])
    with pytest.raises(PluginError):
        check_before_import("quickstart", ["limit=5", "plugins=pinned"])


def test_what_was_imported_is_looked_at_too(installed):
    (installed / "__init__.py").write_text("x = 1\n", "utf-8")
    found = [item for item in discover() if item[0].distribution == NAME]

    with pytest.raises(PluginError, match="changed"):
        check_plugins(Host(found).plugins, where="")
    check_plugins(Host(found, disabled=[NAME]).plugins, where="")


def test_resolving_a_suite_that_demands_pins_refuses_others(resolve_toy):
    with pytest.raises(PluginError, match=r"bdbench-toy 0\.1 \(not in the registry") as caught:
        resolve_toy(plugins="pinned")

    assert caught.value.where.endswith(": plugins")


def test_the_demand_is_written_down_and_part_of_no_identity(resolve_toy, monkeypatch):
    monkeypatch.setattr("bdbench.suite.resolve.check_plugins", lambda plugins, where: None)
    free, held = resolve_toy(), resolve_toy(plugins="pinned")

    assert (free.document()["plugins"], held.document()["plugins"]) == ("any", "pinned")
    one, other = build_plan(free), build_plan(held)
    assert set(one.stages) == set(other.stages)


def test_another_word_is_refused(resolve_toy):
    with pytest.raises(InputError, match="plugins"):
        resolve_toy(plugins="all")
