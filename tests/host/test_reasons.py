"""Why a plugin cannot be used: one line, what was meant, and whether the host is too old."""

from __future__ import annotations

import pytest

from bdbench.host.plugins import PluginState

HEAD = "from bdbench.api import DefenseSpec, DefenseStage, hookimpl\n"
HOOK = "@hookimpl\ndef bdbench_register_defenses():\n    return [{}]\n"
SPEC = (
    "DefenseSpec(name='a', target='a:A', summary='', "
    "stages=frozenset({{DefenseStage.SCREEN}}){more})"
)
HINT = "(perhaps written for a newer API than this host's 1.0)"

TOO_NEW = {
    "a name": ("from bdbench.api import NewThing\n", "ImportError: cannot import name 'NewThing'"),
    "a module": ("import bdbench.api.novelties\n", "ModuleNotFoundError: No module named"),
    "a tool": ("from bdbench.toolkit import new_tool\n", "ImportError: cannot import name"),
    "an attribute": ("import bdbench.api\nbdbench.api.NewThing\n", "AttributeError: module"),
    "a member": ("from bdbench.api import Surface\nSurface.SKY\n", "AttributeError: "),
    "a keyword": (
        "[DefenseSpec(name='a', target='a:A', summary='', scope=1)]\n",
        "TypeError: DefenseSpec.__init__() got an unexpected keyword argument 'scope'",
    ),
    "a hook": (
        "@hookimpl\ndef bdbench_weather_changed(event): pass\n",
        "PluginValidationError: unknown hook 'bdbench_weather_changed' in plugin fake_plugin.hooks",
    ),
}


@pytest.fixture
def plugin_of(install, host_of):
    """What becomes of a plugin with some hooks."""

    def plugin_of(source, requires=""):
        package = install("fake-plugin", HEAD + source)
        if requires:
            (info,) = package.parent.glob("*.dist-info")
            with (info / "METADATA").open("a", encoding="utf-8") as file:
                file.write(f"Requires-Dist: {requires}\n")
        (plugin,) = host_of("fake-plugin").plugins
        return plugin

    return plugin_of


@pytest.mark.parametrize(("source", "reason"), TOO_NEW.values(), ids=TOO_NEW)
def test_who_asks_for_what_this_host_lacks_may_be_too_new(plugin_of, source, reason):
    plugin = plugin_of(source)

    assert plugin.state is PluginState.BROKEN
    assert plugin.reason.startswith(reason)
    assert plugin.reason.endswith(HINT)


@pytest.mark.parametrize(("source", "reason"), TOO_NEW.values(), ids=TOO_NEW)
def test_who_says_so_is_incompatible_and_both_numbers_are_told(plugin_of, source, reason):
    plugin = plugin_of(source + HOOK.format(SPEC.format(more=", api='1.3'")))

    assert plugin.state is PluginState.INCOMPATIBLE
    assert plugin.reason.startswith(f"written for API 1.3, this host has 1.0 ({reason}")
    assert "perhaps" not in plugin.reason
    assert "Traceback" in plugin.details


def test_who_requires_a_newer_host_is_incompatible(plugin_of):
    plugin = plugin_of(TOO_NEW["a name"][0], "bdbench>=7.0")

    assert plugin.state is PluginState.INCOMPATIBLE
    assert plugin.reason.startswith("requires bdbench>=7.0, this is bdbench 0.1.0 with API 1.0 (")


@pytest.mark.parametrize("requires", ["bdbench>=0.1", "bdbench-other>=7.0", "nobody-has-this>=7"])
def test_other_requirements_say_nothing_of_the_host(plugin_of, requires):
    plugin = plugin_of(TOO_NEW["a name"][0], requires)

    assert plugin.state is PluginState.BROKEN
    assert plugin.reason.endswith(HINT)


@pytest.mark.parametrize(
    "source",
    [
        "import a_module_that_nobody_has\n",
        "1 / 0\n",
        "int('x', foo=1)\n",
        "import json\njson.nothing\n",
        "class A:\n    def __init__(self): pass\nA(x=1)\n",
    ],
)
def test_other_mistakes_are_not_put_down_to_the_hosts_age(plugin_of, source):
    plugin = plugin_of(source + HOOK.format(SPEC.format(more=", api='1.3'")))

    assert plugin.state is PluginState.BROKEN
    assert "API" not in plugin.reason


def test_a_misspelt_hook_is_told_what_was_meant_and_no_file(plugin_of):
    plugin = plugin_of("@hookimpl\ndef bdbench_register_defences(): return []\n")

    assert plugin.reason == (
        "PluginValidationError: unknown hook 'bdbench_register_defences' in plugin "
        "fake_plugin.hooks; did you mean 'bdbench_register_defenses'?"
    )


@pytest.mark.parametrize(
    "source",
    [
        "@hookimpl\ndef bdbench_register_defenses(catalog): return []\n",
        "from bdbench.api import NewThing\n",
        "from fake_plugin import nothing\n",
        "raise ValueError('a\\n\\n   b')\n",
    ],
)
def test_a_reason_is_one_line_without_places_of_modules(plugin_of, source, tmp_path):
    plugin = plugin_of(source)

    assert " ".join(plugin.reason.split()) == plugin.reason
    assert str(tmp_path) not in plugin.reason
    assert ".py" not in plugin.reason


@pytest.mark.parametrize("api", ["1.x", "1", "", "1.0.0", "v1.0", " 1.0", 1.0, None])
def test_an_api_that_is_no_version_is_told(plugin_of, api):
    plugin = plugin_of(HOOK.format(SPEC.format(more=f", api={api!r}")))

    assert plugin.state is PluginState.BROKEN
    assert plugin.reason == f"ValueError: api {api!r} of a is not MAJOR.MINOR, such as '1.0'"


def test_a_plugin_that_declares_a_name_twice_is_broken(install, host_of, defense_hooks):
    spec = SPEC.format(more="")
    install("a-plugin", HEAD + HOOK.format(f"{spec}, {spec}"))
    install("b-plugin", defense_hooks("a"))

    host = host_of("a-plugin", "b-plugin")
    twice, other = host.plugins

    assert (twice.state, twice.reason) == (PluginState.BROKEN, "declares defense a twice")
    # Nothing of it is left to be in conflict with.
    assert other.state is PluginState.OK
    assert host.find("defense", "a").distribution == "b-plugin"


def test_two_entry_points_of_a_plugin_that_declare_one_name_are_broken(
    install, host_of, defense_hooks, tmp_path
):
    watched = tmp_path / "watched"
    source = defense_hooks("a") + (
        f"@hookimpl\ndef bdbench_run_finished(event): open({str(watched)!r}, 'w').close()\n"
    )
    package = install("a-plugin", source, more=source)
    (info,) = package.parent.glob("*.dist-info")
    points = "[bdbench]\none = a_plugin.hooks\ntwo = a_plugin.more\n"
    (info / "entry_points.txt").write_text(points, "utf-8")

    host = host_of("a-plugin")

    assert {(plugin.state, plugin.reason) for plugin in host.plugins} == {
        (PluginState.BROKEN, "declares defense a twice, in its entry points one and two")
    }
    assert host.components() == []
    assert host.notify("bdbench_run_finished", None) == []
    assert not watched.exists()
