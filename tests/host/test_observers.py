"""Observers watch; what goes wrong in one reaches neither the others nor a result."""

from __future__ import annotations

import importlib

import pytest

from bdbench.api import StageEvent

EVENT = StageEvent("victim", "k", "started")


def watching(body, hook="bdbench_stage_changed", mark="@hookimpl"):
    return f"from bdbench.api import hookimpl\nseen = []\n{mark}\ndef {hook}(event):\n    {body}\n"


def seen_by(package):
    return importlib.import_module(f"{package}.hooks").seen


def test_every_observer_is_told(install, host_of):
    install("a-plugin", watching("seen.append(event)"))
    install("b-plugin", watching("seen.append(event)"))

    warnings = host_of("a-plugin", "b-plugin").notify("bdbench_stage_changed", EVENT)

    assert warnings == []
    assert seen_by("a_plugin") == seen_by("b_plugin") == [EVENT]


def test_observers_are_told_in_the_order_of_their_names(install, host_of, tmp_path):
    log = tmp_path / "order"
    for name in ("c-plugin", "a-plugin", "b-plugin"):
        install(name, watching(f"open({str(log)!r}, 'a').write({name[0]!r})"))

    host_of("a-plugin", "b-plugin", "c-plugin").notify("bdbench_stage_changed", EVENT)

    assert log.read_text("utf-8") == "abc"


@pytest.mark.parametrize(
    "body",
    ["raise ValueError('tracking is down')", "raise SystemExit(7)", "raise BaseException(7)"],
)
def test_a_failing_observer_is_reported_and_stops_nobody(install, host_of, body):
    install("a-plugin", watching(body))
    install("b-plugin", watching("seen.append(event)"))

    (warning,) = host_of("a-plugin", "b-plugin").notify("bdbench_stage_changed", EVENT)

    assert warning.startswith("a-plugin:a-plugin-hooks: bdbench_stage_changed: ")
    assert ("ValueError: tracking is down" in warning) == ("ValueError" in body)
    assert seen_by("b_plugin") == [EVENT]


def test_only_the_hook_that_is_meant_is_called(install, host_of):
    install("a-plugin", watching("seen.append(event)", hook="bdbench_run_started"))

    assert host_of("a-plugin").notify("bdbench_stage_changed", EVENT) == []
    assert seen_by("a_plugin") == []


def test_an_observer_of_another_name_is_told_too(install, host_of):
    mark = "@hookimpl(specname='bdbench_stage_changed')"
    install("a-plugin", watching("seen.append(event)", hook="on_stage", mark=mark))

    host_of("a-plugin").notify("bdbench_stage_changed", EVENT)

    assert seen_by("a_plugin") == [EVENT]


def test_broken_and_disabled_plugins_watch_nothing(install, host_of):
    install("a-plugin", watching("seen.append(event)"))
    install("b-plugin", watching("seen.append(event)") + "@hookimpl\ndef bdbench_typo(): ...")

    host = host_of("a-plugin", "b-plugin", disabled=["a-plugin"])

    assert [plugin.state.value for plugin in host.plugins] == ["disabled", "broken"]
    assert host.notify("bdbench_stage_changed", EVENT) == []
    assert seen_by("b_plugin") == []
