"""Each entry point ends in one of five states, with its reason."""

from __future__ import annotations

import os
import sys

import pytest

from bdbench.host.installed import plugin_distributions
from bdbench.host.plugins import PluginState

IMPLEMENTS = "from bdbench.api import AttackSpec, DefenseSpec, hookimpl\n@hookimpl\n"

BROKEN = {
    "import-error": ("import a_module_that_nobody_has", "ModuleNotFoundError", "a_module_that"),
    "syntax-error": ("def :", "SyntaxError", "invalid syntax"),
    "exit-at-import": ("raise SystemExit(0)", "SystemExit", "0"),
    "misspelled-hook": (
        IMPLEMENTS + "def bdbench_register_defences(): return []",
        "PluginValidationError",
        "bdbench_register_defences",
    ),
    "unknown-argument": (
        IMPLEMENTS + "def bdbench_register_defenses(catalog): return []",
        "PluginValidationError",
        "catalog",
    ),
    "raising-hook": (
        IMPLEMENTS + "def bdbench_register_defenses(): return 1 / 0",
        "ZeroDivisionError",
        "division",
    ),
    "exiting-hook": (
        IMPLEMENTS + "def bdbench_register_defenses(): raise SystemExit(3)",
        "SystemExit",
        "3",
    ),
    "not-a-list": (
        IMPLEMENTS + "def bdbench_register_defenses():\n"
        "    return DefenseSpec(name='a', target='a:A', summary='')",
        "TypeError",
        "not iterable",
    ),
    "not-a-spec": (
        IMPLEMENTS + "def bdbench_register_defenses(): return ['merge']",
        "TypeError",
        "bdbench_register_defenses gave str, expected DefenseSpec",
    ),
    "wrong-kind": (
        IMPLEMENTS + "def bdbench_register_defenses():\n"
        "    return [AttackSpec(name='a', target='a:A', summary='')]",
        "TypeError",
        "gave AttackSpec, expected DefenseSpec",
    ),
    "bad-name": (
        IMPLEMENTS + "def bdbench_register_defenses():\n"
        "    return [DefenseSpec(name='../etc', target='a:A', summary='')]",
        "ValueError",
        "'../etc' is not in kebab-case",
    ),
    "empty-name": (
        IMPLEMENTS + "def bdbench_register_defenses():\n"
        "    return [DefenseSpec(name='', target='a:A', summary='')]",
        "ValueError",
        "'' is not in kebab-case",
    ),
    "bad-target": (
        IMPLEMENTS + "def bdbench_register_defenses():\n"
        "    return [DefenseSpec(name='a', target='a.A', summary='')]",
        "ValueError",
        "'a.A' of a is not 'package.module:Class'",
    ),
    "base-exception": ("raise BaseException('all of it')", "BaseException", "all of it"),
    "skipped": (
        "import pytest\npytest.skip('not here', allow_module_level=True)",
        "Skipped",
        "not here",
    ),
    "base-exception-in-a-hook": (
        IMPLEMENTS + "def bdbench_register_defenses(): raise BaseException('there')",
        "BaseException",
        "there",
    ),
    "unmarked": (
        "def bdbench_register_defenses(): return []",
        "TypeError",
        "bdbench_register_defenses lacks @hookimpl",
    ),
    "marked-for-others": (
        "import pluggy\n@pluggy.HookimplMarker('pytest')\ndef bdbench_cell_finished(event): ...",
        "TypeError",
        "bdbench_cell_finished lacks @hookimpl",
    ),
}

SCREEN = "stages=frozenset({DefenseStage.SCREEN})"
REPAIR = "stages=frozenset({DefenseStage.REPAIR})"
MISDECLARED = {
    "misspelled stage": ("Defense", "stages={'repairs'}", "expected a frozenset of DefenseStage"),
    "text for a stage": ("Defense", "stages={'repair'}", "expected a frozenset of DefenseStage"),
    "no stage": ("Defense", "", "stages of a are empty"),
    "needs": ("Defense", f"needs={{'clean_rows': 8}}, {SCREEN}", "expected Needs(...)"),
    "access": ("Defense", f"needs=Needs(access='weights'), {SCREEN}", "a member of Access"),
    "rows": ("Defense", f"needs=Needs(clean_rows=True), {SCREEN}", "needs.clean_rows of a is True"),
    "base": ("Defense", f"needs=Needs(base_weights=1), {SCREEN}", "needs.base_weights of a is 1"),
    "tasks": ("Defense", f"tasks=None, {SCREEN}", "tasks of a is None"),
    "one task": ("Defense", f"tasks='text', {SCREEN}", "a frozenset of names of tasks"),
    "config": ("Defense", f"config=Needs, {SCREEN}", "expected text"),
    "config without a class": ("Defense", f"config='a.b', {SCREEN}", "'package.module:Model'"),
    "grid": ("Defense", f"grid=({{}}, 1), {SCREEN}", "a tuple of mappings"),
    "revision": ("Defense", f"revision='2', {SCREEN}", "revision of a is '2'"),
    "a repair that reaches too little": (
        "Defense",
        f"needs=Needs(access=Access.GRADIENTS), {REPAIR}",
        "declare Needs(access=Access.WEIGHTS)",
    ),
    "a screen of training rows": (
        "Defense",
        f"needs=Needs(training_data=True), {SCREEN}",
        "declares training_data",
    ),
    "a filter of rows that it does not ask for": (
        "Defense",
        "stages=frozenset({DefenseStage.FILTER})",
        "declare Needs(training_data=True)",
    ),
    "no surface": ("Attack", "", "surfaces of a are empty"),
    "surface": ("Attack", "surfaces={'data'}", "expected a frozenset of Surface"),
    "flag": ("Attack", "uses_model='no'", "expected True or False"),
    "value": ("Metric", "values=('acc',)", "a tuple of MetricValue"),
    "direction": (
        "Metric",
        "values=(MetricValue(name='a', summary='', direction='up'),)",
        "direction of a value of a is 'up'",
    ),
    "bounds": (
        "Metric",
        "values=(MetricValue(name='a', summary='', direction=Direction.NONE, bounds=1),)",
        "a pair of numbers or None",
    ),
    "infinite bound": (
        "Metric",
        "values=(MetricValue(name='a', summary='', direction=Direction.NONE, bounds=(0, 1e999)),)",
        "write None where unbounded",
    ),
    "bounds the wrong way round": (
        "Metric",
        "values=(MetricValue(name='a', summary='', direction=Direction.NONE, bounds=(1, 0)),)",
        "the least value before the greatest",
    ),
    "subject": ("Metric", "subject='cells'", "a member of Subject"),
    "name": ("Model", "**{'name': 3}", "name of a ModelSpec is 3"),
}


@pytest.mark.parametrize(("kind", "more", "words"), MISDECLARED.values(), ids=MISDECLARED)
def test_a_spec_that_would_be_misread_is_broken(install, host_of, kind, more, words):
    hook = f"bdbench_register_{kind.lower()}s"
    source = f"""
from bdbench.api import *

@hookimpl
def {hook}():
    given = dict(name="a", target="a:A", summary="")
    return [{kind}Spec(**given | dict({more}))]
"""
    install("fake-plugin", source)

    (plugin,) = host_of("fake-plugin").plugins

    assert (plugin.state, plugin.components) == (PluginState.BROKEN, [])
    assert words in plugin.reason


def test_an_interruption_is_none_of_a_plugin(install, host_of):
    install("fake-plugin", "raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        host_of("fake-plugin")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "brings nothing"),
        (IMPLEMENTS + "def bdbench_register_defenses(): return []", "brings nothing"),
        (IMPLEMENTS + "def bdbench_register_defenses(): ...", "brings nothing"),
        (IMPLEMENTS + "def bdbench_cell_finished(event): ...", "watches runs"),
    ],
)
def test_what_a_plugin_without_components_is_good_for(install, host_of, source, words):
    install("fake-plugin", source)

    (plugin,) = host_of("fake-plugin").plugins

    assert (plugin.state, plugin.brings) == (PluginState.OK, words)


def test_a_module_of_somebody_else_is_broken_and_the_hosts_own_stays(install, host_of):
    package = install("aaa", "")
    info = package.parent / "aaa-1.0.dist-info"
    (info / "RECORD").write_text("aaa/__init__.py,,\naaa/hooks.py,,\n", "utf-8")
    points = "[bdbench]\nmine = aaa.hooks\npresets = bdbench.suite.presets.hooks\n"
    (info / "entry_points.txt").write_text(points, "utf-8")

    found = {plugin.id: plugin for plugin in host_of("aaa", "bdbench").plugins}

    assert next(iter(found)).startswith("bdbench:")
    assert found["bdbench:presets"].state is PluginState.OK
    assert found["aaa:mine"].state is PluginState.OK
    assert found["aaa:presets"].state is PluginState.BROKEN
    assert (
        "bdbench.suite.presets.hooks is not among the files of aaa" in found["aaa:presets"].reason
    )
    # Where there is no record nothing can be told, and the host has been first all the same.
    (info / "RECORD").unlink()
    found = {plugin.id: plugin for plugin in host_of("aaa", "bdbench").plugins}
    assert found["bdbench:presets"].state is PluginState.OK
    assert "already registered, by bdbench:presets" in found["aaa:presets"].reason


@pytest.mark.parametrize("finder", ["Python's own", "importlib_metadata"])
def test_what_is_half_removed_is_broken(install, host_of, monkeypatch, finder):
    if finder == "importlib_metadata":
        # As if some other library had imported it: its finder then answers for everybody.
        pytest.importorskip("importlib_metadata")
    others = [item for item in sys.meta_path if "importlib_metadata" not in repr(item)]
    monkeypatch.setattr(sys, "meta_path", sys.meta_path if finder != "Python's own" else others)
    package = install("broken-x", "")
    info = package.parent / "broken_x-1.0.dist-info"
    (info / "METADATA").unlink()

    (plugin,) = host_of("broken_x").plugins

    assert (plugin.state, plugin.version) == (PluginState.BROKEN, "0")
    assert "half removed: broken_x has entry points, and no METADATA" in plugin.reason
    assert "broken-x" not in plugin_distributions()


@pytest.mark.parametrize(("source", "kind", "words"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_loaded_is_broken_and_says_why(install, host_of, source, kind, words):
    install("fake-plugin", source)

    (plugin,) = host_of("fake-plugin").plugins

    assert plugin.state is PluginState.BROKEN
    assert plugin.reason.startswith(f"{kind}: ")
    assert words in plugin.reason
    assert "Traceback" in plugin.details
    assert plugin.components == []


@pytest.mark.parametrize("source", [case[0] for case in BROKEN.values()], ids=BROKEN)
def test_a_broken_plugin_stops_neither_those_before_nor_those_after(
    install, host_of, defense_hooks, source
):
    install("a-good", defense_hooks("good-one"))
    install("b-bad", source)
    install("c-good", defense_hooks("good-two"))

    host = host_of("a-good", "b-bad", "c-good")

    assert [plugin.state.value for plugin in host.plugins] == ["ok", "broken", "ok"]
    assert [item.spec.name for item in host.components("defense")] == ["good-one", "good-two"]
    assert [plugin.distribution for plugin in host.broken()] == ["b-bad"]


def test_nothing_of_a_half_valid_plugin_is_usable(install, host_of):
    specs = "[DefenseSpec(name=name, target='a:A', summary='') for name in ('good', 'b a d')]"
    install("fake-plugin", IMPLEMENTS + f"def bdbench_register_defenses(): return {specs}")

    host = host_of("fake-plugin")

    assert host.plugins[0].state is PluginState.BROKEN
    assert host.components() == []


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
