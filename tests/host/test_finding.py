"""Names lead to components, or to what to do instead."""

from __future__ import annotations

import pytest

from bdbench.api import PluginError
from bdbench.host import catalog


@pytest.fixture
def host(install, host_of, defense_hooks):
    install("a-plugin", defense_hooks("onion"))
    install("b-plugin", defense_hooks("onion"))
    install("c-plugin", defense_hooks("fine-mixing"))
    return host_of("a-plugin", "b-plugin", "c-plugin")


@pytest.fixture
def registry(monkeypatch):
    """What registry.yaml would say."""
    entry = {"distribution": "bdbench-defense-strip", "provides": ["defense:strip"]}
    monkeypatch.setattr(catalog, "known_plugins", lambda: (entry,))


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
    assert caught.value.next == "install it with `pip install bdbench-defense-strip`"


def test_a_known_plugin_that_is_broken_is_named_with_its_reason(install, host_of, registry):
    install("bdbench-defense-strip", "raise RuntimeError('no such wheel')")

    with pytest.raises(PluginError) as caught:
        host_of("bdbench-defense-strip").find("defense", "strip")

    assert "bdbench-defense-strip, which brings it, is broken" in caught.value.what
    assert caught.value.found == "RuntimeError: no such wheel"
    assert caught.value.next == "see `bdbench plugins`"


def test_the_registry_in_the_checkout_can_be_read():
    for entry in catalog.known_plugins():
        assert set(entry) >= {"distribution", "provides"}
        assert all(":" in item for item in entry["provides"])
