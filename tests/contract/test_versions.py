"""What a plugin and a host of different ages make of each other."""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pluggy
import pytest

from bdbench.api import API_VERSION, DefenseSpec, hooks
from bdbench.api.deprecated import RemovedInApi2Warning
from bdbench.host.plugins import LoadedPlugin, PluginState, load_plugins
from bdbench.host.scaffold.naming import KINDS, Names
from bdbench.host.scaffold.writing import files_of

HEAD = "from bdbench.api import DefenseSpec, DefenseStage, hookimpl\n"
DEFENSES = """
@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(name="mine", target="mine:Mine", summary="A defense.",
                        stages=frozenset({{DefenseStage.SCREEN}}){more})]
"""
FUTURE = """
@hookimpl{options}
def bdbench_cell_started(event):
    raise AssertionError("this host never calls it")
"""


def load(folder, source, hookspecs=hooks):
    """What becomes of a plugin, on a host with these hooks; and what is warned of."""
    file = folder / "mine_hooks.py"
    file.write_text(HEAD + source, "utf-8")
    found = importlib.util.spec_from_file_location("mine_hooks", file)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    manager = pluggy.PluginManager("bdbench")
    manager.add_hookspecs(hookspecs)
    plugin = LoadedPlugin("bdbench-defense-mine", "1.0", "defense-mine", "mine_hooks")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_plugins(manager, [(plugin, lambda: module)])
    return SimpleNamespace(plugin=plugin, manager=manager, warnings=caught, file=file)


def later_host(**options):
    """The hooks of a later host, which has marked one of today's."""
    specs = ModuleType("later_hooks")
    for name, function in vars(hooks).items():
        if name.startswith("bdbench_"):
            setattr(specs, name, function)
    marked = pluggy.HookspecMarker("bdbench")

    if "warn_on_impl" in options:

        def bdbench_register_defenses():
            """The defenses."""

        specs.bdbench_register_defenses = marked(bdbench_register_defenses, **options)
    else:

        def bdbench_cell_finished(event, record):
            """A cell is done; `record` is what the event holds, too."""

        specs.bdbench_cell_finished = marked(bdbench_cell_finished, **options)
    return specs


def test_a_spec_that_does_not_say_is_taken_to_be_for_this_host():
    # Which is why `bdbench new` writes it out.
    assert DefenseSpec(name="a", target="a:A", summary="").api == API_VERSION
    for kind in KINDS:
        files = files_of(Names(kind, "x"))
        (source,) = (text for path, text in files.items() if path.name == "hooks.py")
        assert f'api="{API_VERSION}",' in source


@pytest.mark.parametrize("api", ["1.1", "2.0", "0.9"])
def test_a_plugin_for_another_api_is_incompatible_and_both_numbers_are_shown(tmp_path, api):
    found = load(tmp_path, DEFENSES.format(more=f", api={api!r}"))

    assert found.plugin.state is PluginState.INCOMPATIBLE
    assert found.plugin.reason == f"mine was written for API {api}, this host has {API_VERSION}"


def test_a_deprecated_hook_still_works_and_its_author_is_told_where(tmp_path):
    notice = RemovedInApi2Warning("bdbench_register_defenses goes: return all specs from one hook")
    found = load(tmp_path, DEFENSES.format(more=""), later_host(warn_on_impl=notice))

    assert found.plugin.state is PluginState.OK
    assert [item.spec.name for item in found.plugin.components] == ["mine"]
    (warning,) = found.warnings
    assert warning.message is notice
    assert (warning.filename, warning.lineno) == (str(found.file), 3)


def test_a_deprecated_argument_is_only_a_matter_of_those_who_ask_for_it(tmp_path):
    notice = RemovedInApi2Warning("the argument record goes: use event.record")
    host = later_host(warn_on_impl_args={"record": notice})
    source = "@hookimpl\ndef bdbench_cell_finished({}):\n    pass\n"

    modern = load(tmp_path, source.format("event"), host)
    old = load(tmp_path, source.format("event, record"), host)

    assert (modern.plugin.state, modern.warnings) == (PluginState.OK, [])
    assert old.plugin.state is PluginState.OK
    assert [item.message for item in old.warnings] == [notice]


def test_a_plugin_says_that_it_can_do_without_a_newer_hook(tmp_path):
    optional = FUTURE.format(options="(optionalhook=True)")
    found = load(tmp_path, DEFENSES.format(more="") + optional)

    assert (found.plugin.state, found.plugin.reason) == (PluginState.OK, "")
    assert [item.spec.name for item in found.plugin.components] == ["mine"]


def test_the_example_on_the_page_about_it_works(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "plugins" / "publish.md").read_text("utf-8")
    (example,) = re.findall(r"^```python example\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert load(tmp_path, example).plugin.state is PluginState.OK
    unmarked = example.replace("(optionalhook=True)", "")
    assert load(tmp_path, unmarked).plugin.state is PluginState.BROKEN


def test_otherwise_an_unknown_hook_is_a_mistake(tmp_path):
    found = load(tmp_path, DEFENSES.format(more="") + FUTURE.format(options=""))

    assert found.plugin.state is PluginState.BROKEN
    assert "bdbench_cell_started" in found.plugin.reason


def test_a_newer_host_calls_the_optional_hook(tmp_path):
    newer = ModuleType("newer_hooks")
    for name, function in vars(hooks).items():
        if name.startswith("bdbench_"):
            setattr(newer, name, function)

    def bdbench_cell_started(event):
        """A cell starts."""

    newer.bdbench_cell_started = pluggy.HookspecMarker("bdbench")(bdbench_cell_started)
    found = load(tmp_path, FUTURE.format(options="(optionalhook=True)"), newer)

    with pytest.raises(AssertionError, match="this host never calls it"):
        found.manager.hook.bdbench_cell_started(event=None)


def test_nothing_is_deprecated_that_the_page_does_not_say():
    assert "warn_on_impl" not in Path(hooks.__file__).read_text("utf-8")
    assert "At present nothing is deprecated" in sys.modules["bdbench.api.deprecated"].__doc__
