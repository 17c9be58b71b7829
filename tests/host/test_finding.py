"""Names lead to components, or to what to do instead."""

from __future__ import annotations

import pytest

from bdbench.api import PluginError
from bdbench.host import catalog
from bdbench.host.registry import Listed


@pytest.fixture
def host(install, host_of, defense_hooks):
    install("a-plugin", defense_hooks("onion"))
    install("b-plugin", defense_hooks("onion"))
    install("c-plugin", defense_hooks("fine-mixing"))
    return host_of("a-plugin", "b-plugin", "c-plugin")


@pytest.fixture
def registry(monkeypatch):
    """What registry.yaml would say, with another pin or homepage if need be."""

    def registry(**changes):
        entry = {
            "name": "defense-strip",
            "distribution": "bdbench-defense-strip",
            "tier": "community",
            "summary": "STRIP.",
            "provides": ["defense:strip"],
            "license": "MIT",
            "api": ">=1.0,<2",
            "pin": {"version": "2.0", "sha256": ["a" * 64], "files": ["b" * 64]},
        }
        listed = Listed.model_validate({**entry, **changes})
        monkeypatch.setattr(catalog, "known_plugins", lambda: (listed,))

    registry()
    return registry


@pytest.mark.parametrize("name", ["fine-mixing", "c-plugin/fine-mixing"])
def test_a_short_and_a_full_name_lead_to_the_component(host, name):
    assert host.find("defense", name).full_name == "c-plugin/fine-mixing"


def test_a_short_name_that_two_claim_is_refused_with_both_full_names(host):
    with pytest.raises(PluginError) as caught:
        host.find("defense", "onion", where="suite.yaml:7: defenses.0")

    assert str(caught.value) == (
        "suite.yaml:7: defenses.0: several plugins bring a defense named 'onion'. "
        "Found a-plugin/onion, b-plugin/onion. Expected one of these full names. "
        "Next: write 'a-plugin/onion' instead of 'onion'."
    )


@pytest.mark.parametrize("name", ["a-plugin/onion", "b-plugin/onion"])
def test_a_full_name_is_usable_in_spite_of_a_conflict(host, name):
    assert host.find("defense", name).full_name == name


def test_a_near_miss_is_suggested(host):
    with pytest.raises(PluginError) as caught:
        host.find("defense", "fine-mixng")

    assert caught.value.what == "no installed plugin brings a defense named 'fine-mixng'"
    assert caught.value.expected == "one of fine-mixing, onion"
    assert caught.value.next == "write 'fine-mixing'"


def test_what_resembles_nothing_leads_to_the_list(host):
    with pytest.raises(PluginError) as caught:
        host.find("attack", "zzz")

    assert caught.value.what == "no installed plugin brings an attack named 'zzz'"
    assert caught.value.next == "see `bdbench list --kind attack`"


def test_a_name_of_another_kind_is_not_found(host):
    with pytest.raises(PluginError):
        host.find("attack", "fine-mixing")


def test_a_known_plugin_that_is_not_installed_is_named(host, registry):
    with pytest.raises(PluginError) as caught:
        host.find("defense", "strip")

    assert "bdbench-defense-strip" in caught.value.expected
    assert caught.value.next == "`bdbench plugins install defense-strip`"


def test_what_no_wheel_is_published_of_is_not_to_be_installed_by_name(host, registry):
    registry(
        tier="core", pin={"version": "2.0", "files": ["b" * 64]}, homepage="https://example.org/s"
    )

    with pytest.raises(PluginError) as caught:
        host.find("defense", "strip")

    assert caught.value.next == (
        "`bdbench plugins install -e FOLDER|WHEEL` with its sources from https://example.org/s, "
        "or with a wheel built from them"
    )


@pytest.mark.parametrize("distribution", ["bdbench-defense-strip", "Bdbench_Defense_Strip"])
def test_a_known_plugin_that_is_broken_is_named_with_its_reason(
    install, host_of, registry, distribution
):
    install(distribution, "raise RuntimeError('no such wheel')")

    with pytest.raises(PluginError) as caught:
        host_of(distribution).find("defense", "strip")

    assert "bdbench-defense-strip, which brings it, is broken" in caught.value.what
    assert caught.value.found == "RuntimeError: no such wheel"
    assert caught.value.next == (
        f"install it again (`bdbench plugins install {distribution}==1.0 --unlisted`), "
        f"or BDBENCH_DISABLE_PLUGINS={distribution} leaves it out"
    )


@pytest.mark.parametrize("name", ["strip", "bdbench-defense-strip/strip"])
def test_an_unlisted_plugin_that_is_broken_and_called_like_it_is_named(install, host_of, name):
    install("bdbench-defense-strip", "raise RuntimeError('no such wheel')")
    install("bdbench-attack-strip", "")
    host = host_of("bdbench-defense-strip", "bdbench-attack-strip")

    with pytest.raises(PluginError) as caught:
        host.find("defense", name)

    assert "bdbench-defense-strip, which is called like it, is broken" in caught.value.what
    assert caught.value.found == "RuntimeError: no such wheel"
    with pytest.raises(PluginError, match="no installed plugin brings an attack named 'strip'"):
        host.find("attack", "strip")


def test_a_known_plugin_that_is_disabled_is_to_be_let_in_again(install, host_of, registry):
    install("bdbench-defense-strip", "")

    with pytest.raises(PluginError) as caught:
        host_of("bdbench-defense-strip", disabled=["bdbench_defense_strip"]).find(
            "defense", "strip"
        )

    assert "bdbench-defense-strip, which brings it, is disabled" in caught.value.what
    assert caught.value.next == (
        "take bdbench-defense-strip out of BDBENCH_DISABLE_PLUGINS or --no-plugin"
    )


def test_a_version_that_does_not_bring_it_yet_is_told(install, host_of, defense_hooks, registry):
    install("bdbench-defense-strip", defense_hooks("other"), version="1.5")

    with pytest.raises(PluginError) as caught:
        host_of("bdbench-defense-strip").find("defense", "strip")

    assert caught.value.found == "bdbench-defense-strip 1.5, which does not bring it"
    assert caught.value.expected == "version 2.0"
    assert caught.value.next == "`bdbench plugins install defense-strip`"
