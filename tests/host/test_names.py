"""What plugins may be called where they are left out, and names that are nearly those of others."""

from __future__ import annotations

import pytest

from bdbench.host.names import resembled
from bdbench.host.plugins import PluginState
from bdbench.host.registry import load_registry

WRITTEN = {
    "Fake_Plugin": ["fake-plugin", "fake_plugin", "FAKE.plugin", "Fake--Plugin"],
    "fake-plugin": ["Fake_Plugin", "fake.plugin-hooks", "FAKE_PLUGIN:fake_plugin_hooks"],
}


@pytest.mark.parametrize(
    ("distribution", "name"),
    [(distribution, name) for distribution, names in WRITTEN.items() for name in names],
)
def test_a_plugin_is_left_out_however_its_name_is_written(
    install, host_of, tmp_path, distribution, name
):
    trace = tmp_path / "imported"
    install(distribution, f"open({str(trace)!r}, 'w').close()")

    host = host_of(distribution, disabled=[name])

    assert [plugin.state for plugin in host.plugins] == [PluginState.DISABLED]
    assert host.unknown == []
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bdbench-defence-onion", "did you mean 'bdbench-defense-onion'?"),
        ("onion", "did you mean 'bdbench-defense-onion'?"),
        ("bdbench-defense-onion:hooks", "did you mean "),
        ("zzz", "see `bdbench plugins`"),
    ],
)
def test_a_name_that_disables_nothing_is_told_with_the_nearest(
    install, host_of, defense_hooks, name, told
):
    install("bdbench-defense-onion", defense_hooks("onion"))

    host = host_of("bdbench-defense-onion", disabled=[name, "bdbench_defense_onion"])

    (unknown,) = host.unknown
    assert unknown.startswith(f"nothing installed is called {name!r}; {told}")


NEAR = {
    "bdbemch-defense-onion": "bdbench-defense-onion",
    "bdbnch-model-minilm": "bdbench-model-minilm",
    "bdbenchdefense-onion": "bdbench-defense-onion",
    "bdbench-defenseonion": "bdbench-defense-onion",
    "bd-bench-defense-onion": "bdbench-defense-onion",
    "bdbench-onion-defense": "bdbench-defense-onion",
    "bdbench-onion-defence": "bdbench-defense-onion",
    "onion-bdbench-defense": "bdbench-defense-onion",
    "bdbench-attack-pretrain": "bdbench-attack-pretrained",
}


@pytest.fixture
def shipped():
    return load_registry()


@pytest.mark.parametrize(("name", "meant"), NEAR.items())
def test_a_near_miss_anywhere_in_a_name_is_seen(shipped, name, meant):
    assert shipped.resembling(name).distribution == meant


def test_no_listed_name_resembles_another(shipped):
    names = [entry.distribution for entry in shipped.plugins]

    assert len(names) > 10
    assert {name: resembled(name, [*set(names) - {name}]) for name in names} == dict.fromkeys(names)


@pytest.mark.parametrize(
    "name",
    [
        "bdbench-defense-strip",
        "bdbench-defense-rap",
        "bdbench-attack-syntactic",
        "bdbench-metric-latency",
        "bdbench-model-roberta",
        "bdbench-dataset-imdb",
        "benchmark-tools",
        "pytest-benchmark",
        "onions",
    ],
)
def test_names_that_authors_would_choose_resemble_none(shipped, name):
    assert shipped.resembling(name) is None
