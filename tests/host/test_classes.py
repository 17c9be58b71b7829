"""What a spec says is checked against the class when the class is first used."""

from __future__ import annotations

import sys

import pytest

from bdbench.api import PluginError

STAGES = (
    "stages=frozenset({DefenseStage.REPAIR, DefenseStage.SCREEN}), "
    "needs=Needs(access=Access.WEIGHTS)"
)


@pytest.fixture
def load(install, host_of, defense_hooks):
    """Loads the class of a defense whose module has the given source."""

    def load(source, target="fake_plugin.parts:Thing", extra=""):
        install("fake-plugin", defense_hooks("fake", target, extra), parts=source)
        host = host_of("fake-plugin")
        return host.load_class(host.find("defense", "fake"))

    return load


def test_registering_a_component_imports_no_class(install, host_of, defense_hooks):
    install("fake-plugin", defense_hooks("fake", "fake_plugin.parts:Thing"), parts="x = 1")

    assert host_of("fake-plugin").find("defense", "fake")
    assert "fake_plugin.parts" not in sys.modules


def test_a_class_with_all_declared_methods_is_given(load):
    source = "class Thing:\n    def repair(self): ...\n    def screen(self): ..."
    assert load(source, extra=STAGES).__name__ == "Thing"


def test_a_target_that_is_not_there_is_the_plugins_fault(load):
    with pytest.raises(PluginError) as caught:
        load("class Other: ...")

    assert caught.value.where == "fake-plugin/fake"
    assert caught.value.what == "fake_plugin.parts:Thing cannot be imported"
    assert "AttributeError" in caught.value.found
    assert "fake-plugin" in caught.value.next


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import nothing_like_it", "ModuleNotFoundError"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("raise BaseException(1)", "BaseException: 1"),
    ],
)
def test_a_module_that_cannot_be_imported_is_the_plugins_fault(load, source, found):
    with pytest.raises(PluginError) as caught:
        load(source)

    assert caught.value.found.startswith(found)


def test_a_class_without_a_declared_method_is_refused(load):
    with pytest.raises(PluginError) as caught:
        load("class Thing:\n    def repair(self): ...\n    screen = None", extra=STAGES)

    assert caught.value.where == "fake-plugin/fake (fake_plugin.parts:Thing)"
    assert caught.value.found == "no method screen"


def test_what_is_not_a_class_is_refused(load):
    with pytest.raises(PluginError) as caught:
        load("def Thing(config): ...")

    assert caught.value.found == "function"


def test_an_attack_that_declares_a_surface_must_poison(install, host_of):
    hooks = """
from bdbench.api import AttackSpec, Surface, hookimpl

@hookimpl
def bdbench_register_attacks():
    return [AttackSpec(name="fake", target="fake_plugin.parts:Thing", summary="",
                       surfaces=frozenset({Surface.DATA}))]
"""
    install("fake-plugin", hooks, parts="class Thing: ...")
    host = host_of("fake-plugin")

    with pytest.raises(PluginError) as caught:
        host.load_class(host.find("attack", "fake"))

    assert caught.value.found == "no method poison"
