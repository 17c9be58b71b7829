"""What makes a plugin broken, and that its reason is told."""

from __future__ import annotations

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
