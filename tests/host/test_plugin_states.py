"""Each entry point ends in one of five states: those of plugins that nothing is wrong with."""

from __future__ import annotations

import os

import pytest

from bdbench.host.plugins import PluginState

IMPLEMENTS = "from bdbench.api import AttackSpec, DefenseSpec, hookimpl\n@hookimpl\n"


def test_a_sound_plugin_is_ok_with_name_and_version(install, host_of, defense_hooks):
    install("fake-plugin", defense_hooks("fake"), version="2.3")

    host = host_of("fake-plugin")

    (plugin,) = host.plugins
    assert (plugin.state, plugin.reason) == (PluginState.OK, "")
    (component,) = host.components()
    assert (component.full_name, component.version) == ("fake-plugin/fake", "2.3")
    assert host.broken() == []


@pytest.mark.parametrize("api", ["1.1", "1.10", "2.0", "0.9"])
def test_a_component_for_another_api_makes_its_plugin_incompatible(
    install, host_of, defense_hooks, api
):
    install("fake-plugin", defense_hooks("fake", extra=f"api={api!r}"))

    (plugin,) = host_of("fake-plugin").plugins

    assert plugin.state is PluginState.INCOMPATIBLE
    assert plugin.reason == f"fake was written for API {api}, this host has 1.0"
    assert plugin.components == []


def test_an_incompatible_plugin_stops_no_other(install, host_of, defense_hooks):
    install("a-new", defense_hooks("new", extra="api='9.0'"))
    install("b-good", defense_hooks("good"))

    host = host_of("a-new", "b-good")

    assert [item.spec.name for item in host.components()] == ["good"]


@pytest.mark.parametrize(
    "name", ["fake-plugin", "fake-plugin-hooks", "fake-plugin:fake-plugin-hooks"]
)
def test_a_disabled_plugin_is_not_even_imported(install, host_of, tmp_path, name):
    trace = tmp_path / "imported"
    install("fake-plugin", f"open({str(trace)!r}, 'w').close()")

    (plugin,) = host_of("fake-plugin", disabled=[name]).plugins

    assert plugin.state is PluginState.DISABLED
    assert "BDBENCH_DISABLE_PLUGINS" in plugin.reason
    assert not trace.exists()
    # The trace is one that an import leaves.
    assert host_of("fake-plugin").plugins[0].state is PluginState.OK
    assert trace.exists()


def test_the_environment_disables_plugins(install, host_of, defense_hooks, monkeypatch):
    install("a-plugin", defense_hooks("a"))
    install("b-plugin", defense_hooks("b"))
    monkeypatch.setitem(os.environ, "BDBENCH_DISABLE_PLUGINS", " b-plugin , unknown,")

    host = host_of("a-plugin", "b-plugin")

    assert [plugin.state.value for plugin in host.plugins] == ["ok", "disabled"]
    assert host.broken() == []


def test_two_claimants_of_a_name_are_both_in_conflict(install, host_of, defense_hooks):
    install("a-plugin", defense_hooks("onion"))
    install("b-plugin", defense_hooks("onion"))
    install("c-plugin", defense_hooks("other"))

    host = host_of("a-plugin", "b-plugin", "c-plugin")

    assert [plugin.state.value for plugin in host.plugins] == ["conflict", "conflict", "ok"]
    for plugin in host.plugins[:2]:
        assert plugin.reason == (
            "the defense name 'onion' is claimed by a-plugin/onion, b-plugin/onion"
        )


def test_components_of_different_kinds_may_share_a_name(install, host_of, defense_hooks):
    install("a-plugin", defense_hooks("noise"))
    install(
        "b-plugin",
        IMPLEMENTS + "def bdbench_register_attacks():\n"
        "    from bdbench.api import Surface\n"
        "    surfaces = frozenset({Surface.DATA})\n"
        "    return [AttackSpec(name='noise', target='a:A', summary='', surfaces=surfaces)]",
    )

    host = host_of("a-plugin", "b-plugin")

    assert [plugin.state.value for plugin in host.plugins] == ["ok", "ok"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_plugins_are_sorted_whatever_the_order_of_discovery(install, host_of, defense_hooks, order):
    names = ["a-plugin", "b-plugin", "c-plugin"]
    for index in order:
        # Component names run against the order of the distributions.
        install(names[index], defense_hooks(f"defense-{9 - index}"))

    host = host_of(*names)

    assert [plugin.distribution for plugin in host.plugins] == names
    assert [item.spec.name for item in host.components()] == [
        "defense-7",
        "defense-8",
        "defense-9",
    ]


def test_a_distribution_that_is_on_the_path_twice_counts_once(install, host_of, defense_hooks):
    install("fake-plugin", defense_hooks("fake"), version="1.0")
    install("fake-plugin", defense_hooks("fake"), version="2.0")

    (plugin,) = host_of("fake-plugin").plugins

    # The one that Python would import: it stands first on the path.
    assert (plugin.state, plugin.version) == (PluginState.OK, "2.0")


def test_one_module_under_two_names_breaks_the_second_only(install, host_of, defense_hooks):
    package = install("a-plugin", defense_hooks("a"))
    info = package.parent / "a_plugin-1.0.dist-info" / "entry_points.txt"
    info.write_text("[bdbench]\none = a_plugin.hooks\ntwo = a_plugin.hooks\n", "utf-8")

    one, two = host_of("a-plugin").plugins

    assert (one.state, two.state) == (PluginState.OK, PluginState.BROKEN)
    assert "already registered" in two.reason
