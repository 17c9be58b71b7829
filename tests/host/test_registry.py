"""The registry: what an entry must hold, and how names lead to entries."""

from __future__ import annotations

import copy
import datetime as dt
import json
import subprocess
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from bdbench.api import InputError, PluginError
from bdbench.host import core_entries
from bdbench.host.registry import NOTICE, Registry, load_registry, registry_file
from bdbench.host.wheels import read_wheel

ROOT = Path(__file__).parents[2]

ENTRY = {
    "name": "defense-strip",
    "distribution": "bdbench-defense-strip",
    "tier": "community",
    "summary": "Perturbs inputs and looks at the entropy.",
    "provides": ["defense:strip"],
    "homepage": "https://example.org/strip",
    "license": "MIT",
    "citation": ["Gao et al. (2019): STRIP"],
    "api": ">=1.0,<2",
    "pin": {"version": "1.2", "sha256": ["a" * 64], "files": ["b" * 64]},
    "checked": {"date": "2026-11-01", "host": "0.1.0", "result": "passed"},
}


@pytest.fixture
def write(tmp_path):
    """A registry's file with some entries."""

    def write(*entries):
        path = tmp_path / "registry.yaml"
        text = yaml.safe_dump({"plugins": list(entries)})
        # YAML's dates are not quoted.
        path.write_text(text.replace("'2026-11-01'", "2026-11-01"), "utf-8")
        return path

    return write


def changed(**changes):
    return {**copy.deepcopy(ENTRY), **changes}


def test_an_entry_is_read(write):
    (entry,) = load_registry(write(ENTRY)).plugins

    assert (entry.name, entry.tier, entry.pin.version) == ("defense-strip", "community", "1.2")
    assert entry.checked.date.isoformat() == "2026-11-01"
    assert entry.supports("1.0")
    assert entry.supports("1.9")
    assert not entry.supports("2.0")


MISFITS = {
    "unknown key": (changed(trusted=True), "plugins.0.trusted"),
    "unknown tier": (changed(tier="best"), "plugins.0.tier"),
    "no kind": (changed(provides=["strip"]), "plugins.0.provides.0"),
    "unknown kind": (changed(provides=["weapon:strip"]), "plugins.0.provides.0"),
    "capitals": (changed(distribution="Bdbench-Strip"), "plugins.0.distribution"),
    "a homepage that runs": (changed(homepage="javascript:alert(1)"), "plugins.0.homepage"),
    "an open homepage": (changed(homepage="http://example.org"), "plugins.0.homepage"),
    "no summary": (changed(summary=""), "plugins.0.summary"),
    "a second line": (changed(summary="Fine.\n  sha256  abc"), "plugins.0.summary"),
    "an escape": (changed(citation=["a\x1b[2K"]), "plugins.0.citation"),
    "no range": (changed(api="1.0 or so"), "plugins.0.api"),
    "a number": (
        changed(pin={"version": 1.2, "sha256": ["a" * 64], "files": ["b" * 64]}),
        "plugins.0.pin.version",
    ),
    "no version": (
        changed(pin={"version": "new", "sha256": ["a" * 64], "files": ["b" * 64]}),
        "plugins.0.pin.version",
    ),
    "short digest": (
        changed(pin={"version": "1.2", "sha256": ["a" * 63], "files": ["b" * 64]}),
        "plugins.0.pin.sha256.0",
    ),
    "no files": (
        changed(pin={"version": "1.2", "sha256": ["a" * 64], "files": []}),
        "plugins.0.pin.files",
    ),
    "no wheel": (changed(pin={"version": "1.2", "files": ["b" * 64]}), "plugins.0"),
    "unknown result": (
        changed(checked={"date": "2026-11-01", "host": "0.1.0", "result": "fine"}),
        "plugins.0.checked.result",
    ),
}


@pytest.mark.parametrize(("entry", "place"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_told_with_its_place(write, entry, place):
    path = write(entry)

    with pytest.raises(InputError) as caught:
        load_registry(path)

    assert caught.value.where == f"{path}: {place}"


BORROWED = {
    "a component": {"name": "strip", "provides": ["defense:strip"]},
    "a distribution": {"name": "bdbench-defense-strip"},
    "a name": {"distribution": "defense-strip"},
    "a component as distribution": {"distribution": "strip"},
}


@pytest.mark.parametrize("changes", BORROWED.values(), ids=BORROWED)
def test_names_by_which_another_is_asked_for_are_refused(write, changes):
    other = changed(**{"name": "other", "distribution": "bdbench-other", "provides": [], **changes})

    for entries in ((ENTRY, other), (other, ENTRY)):
        with pytest.raises(InputError) as caught:
            load_registry(write(*entries))
        assert "names that lead to one plugin" in caught.value.expected


def test_a_plugin_may_be_called_what_it_brings(write):
    entry = changed(name="strip")

    assert load_registry(write(entry)).find("strip").distribution == "bdbench-defense-strip"


def test_a_core_plugin_needs_no_published_wheel(write):
    pin = {"version": "1.2", "files": ["b" * 64]}

    (entry,) = load_registry(write(changed(tier="core", pin=pin))).plugins

    assert entry.pin.sha256 == []


@pytest.mark.parametrize("key", ["name", "distribution"])
def test_no_two_plugins_share_a_name(write, key):
    other = changed(name="other", distribution="bdbench-other") | {key: ENTRY[key]}

    with pytest.raises(InputError, match=f"a {key} of its own"):
        load_registry(write(ENTRY, other))


@pytest.mark.parametrize("text", ["plugins: [", "!!python/object/apply:os.getcwd []", "- 1", ""])
def test_what_is_no_registry_is_refused(tmp_path, text):
    path = tmp_path / "registry.yaml"
    path.write_text(text, "utf-8")

    with pytest.raises(InputError, match="registry"):
        load_registry(path)


def test_a_registry_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_registry(tmp_path / "none.yaml")


def test_another_registry_can_be_chosen(write, monkeypatch):
    path = write(ENTRY)
    monkeypatch.setenv("BDBENCH_REGISTRY", str(path))

    assert registry_file() == path
    assert [entry.name for entry in load_registry().plugins] == ["defense-strip"]


# --- names ---------------------------------------------------------------------------------------


@pytest.fixture
def registry():
    onion = changed(
        name="defense-onion",
        distribution="bdbench-defense-onion",
        summary="Perplexity.",
        provides=["defense:onion", "defense:filter"],
        citation=[],
    )
    other = changed(
        name="other", distribution="bdbench-other", provides=["defense:filter"], citation=[]
    )
    entries = [{**item, "checked": None} for item in (ENTRY, onion, other)]
    return Registry.model_validate({"plugins": entries})


@pytest.mark.parametrize(
    "wanted",
    ["defense-onion", "bdbench-defense-onion", "Bdbench_Defense.Onion", "onion", "defense:onion"],
)
def test_names_of_plugin_distribution_and_component_lead_to_the_entry(registry, wanted):
    assert registry.find(wanted).distribution == "bdbench-defense-onion"


def test_a_component_that_two_bring_leads_to_neither(registry):
    with pytest.raises(PluginError) as caught:
        registry.find("filter")

    assert caught.value.found == "defense-onion, other"


def test_what_is_not_listed_leads_nowhere(registry):
    assert registry.find("bdbench-defence-onion") is None
    assert registry.entry("onion") is None


NEAR = {
    "bdbench-defence-onion": "bdbench-defense-onion",
    "bdbench_defense_onions": "bdbench-defense-onion",
    "bdbench-onion": "bdbench-defense-onion",
    "onion": "bdbench-defense-onion",
    "defense-onion": "bdbench-defense-onion",
    "bdbench-defense-onoin": "bdbench-defense-onion",
    "bdbench-defense-stripe": "bdbench-defense-strip",
}


@pytest.mark.parametrize(("name", "meant"), NEAR.items())
def test_a_near_miss_is_seen(registry, name, meant):
    assert registry.resembling(name).distribution == meant


@pytest.mark.parametrize(
    "name", ["bdbench-defense-onion", "Bdbench.Other", "bdbench-attack-badnets", "numpy"]
)
def test_a_listed_name_and_one_of_its_own_resemble_nothing(registry, name):
    assert registry.resembling(name) is None


def test_all_words_must_occur(registry):
    def found(words):
        return [entry.name for entry in registry.search(words)]

    assert found("") == ["defense-strip", "defense-onion", "other"]
    assert found("PERPLEXITY onion") == ["defense-onion"]
    assert found("gao") == ["defense-strip"]
    assert found("perplexity strip") == []


# --- the registry that is shipped ----------------------------------------------------------------


def test_the_shipped_registry_says_that_listing_is_not_endorsement():
    text = (ROOT / "registry.yaml").read_text("utf-8")

    assert "Listing is not endorsement" in text
    assert "Listing is not endorsement" in NOTICE


@pytest.mark.skipif(not (ROOT / "plugins").is_dir(), reason="needs the repository's plugins")
def test_core_entries_are_those_of_the_plugins_in_this_repository():
    file = ROOT / "registry.yaml"
    made = core_entries.write_registry(core_entries.updated(load_registry(file), ROOT))

    assert file.read_text("utf-8") == made, "run `python -m bdbench.host.core_entries`"


def test_every_core_plugin_has_passed_its_checks_as_it_is_now():
    # What was checked before a file changed is dropped by `updated`.
    entries = load_registry(ROOT / "registry.yaml").plugins
    missing = [
        entry.distribution
        for entry in entries
        if entry.tier == "core" and not (entry.checked and entry.checked.result == "passed")
    ]

    assert missing == [], "run `python -m bdbench.host.core_entries --check`"


@pytest.fixture(scope="module")
def onion():
    """The entry of a plugin of this repository, as it is made."""
    found = {entry["distribution"]: entry for entry in core_entries.core_entries(ROOT)}
    return found["bdbench-defense-onion"]


def test_what_others_wrote_stays_when_core_entries_are_made_anew(write, onion):
    before = {**onion, "summary": "Old.", "checked": ENTRY["checked"]}
    registry = load_registry(write(ENTRY, before))

    entries = core_entries.updated(registry, ROOT)

    (after,) = (entry for entry in entries if entry["name"] == "defense-onion")
    assert after["summary"] == onion["summary"]
    assert after["checked"]["result"] == "passed"
    (strip,) = (entry for entry in entries if entry["name"] == "defense-strip")
    assert Registry.model_validate({"plugins": [strip]}).plugins[0] == registry.plugins[0]


def test_a_check_is_forgotten_with_the_files_that_were_checked(write, onion):
    pin = {**onion["pin"], "files": ["b" * 64]}
    registry = load_registry(write({**onion, "pin": pin, "checked": ENTRY["checked"]}))

    entries = core_entries.updated(registry, ROOT)

    (after,) = (entry for entry in entries if entry["name"] == "defense-onion")
    assert after["pin"] == onion["pin"]
    assert "checked" not in after


@pytest.fixture
def checkout(tmp_path, make_wheel, monkeypatch):
    """Installs a plugin whose sources stand in a checkout; gives both and its entry."""
    wheel = make_wheel()
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    pin = {"version": "1.0", "files": [read_wheel(wheel).files]}
    return tmp_path, site, {"distribution": "bdbench-defense-fake", "pin": pin}


def test_the_checks_of_what_is_installed_are_made(checkout, capsys):
    root, _, entry = checkout

    checked = core_entries.check(entry, root)

    # Its class is nowhere.
    assert checked["result"] == "failed"
    assert "bdbench-defense-fake: target_resolves failed: " in capsys.readouterr().err
    assert checked["date"] == dt.datetime.now(dt.UTC).date()
    assert checked["host"] == metadata.version("bdbench")


def test_what_passes_every_check_is_said_to(checkout, monkeypatch, capsys):
    root, _, entry = checkout
    checks = [{"check": "a", "outcome": "passed", "reason": ""}]
    done = subprocess.CompletedProcess([], 0, stdout=json.dumps([{"checks": checks}]), stderr="")
    monkeypatch.setattr(core_entries.subprocess, "run", lambda *_, **__: done)

    assert core_entries.check(entry, root)["result"] == "passed"
    assert capsys.readouterr().err == "bdbench-defense-fake: 1 checks, passed\n"


def test_what_is_not_what_stands_in_the_checkout_is_not_checked(checkout):
    root, site, entry = checkout
    (site / "bdbench_defense_fake" / "hooks.py").write_text("x = 1\n", "utf-8")

    with pytest.raises(RuntimeError, match="must be installed from"):
        core_entries.check(entry, root)
    with pytest.raises(RuntimeError, match="must be installed from"):
        core_entries.check({**entry, "distribution": "bdbench-not-here"}, root)


def test_sources_of_another_checkout_are_not_checked(checkout):
    root, site, entry = checkout
    origin = site / "bdbench_defense_fake-1.0.dist-info" / "direct_url.json"
    folder = root / "elsewhere"
    origin.write_text(json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}}), "utf-8")

    with pytest.raises(RuntimeError, match="must be installed from"):
        core_entries.check(entry, root)
    (root / "plugins").mkdir()
    (root / "plugins" / entry["distribution"]).symlink_to(folder)
    assert core_entries.check(entry, root)["result"] == "failed"


def test_checks_that_cannot_be_made_are_an_error(checkout):
    root, site, entry = checkout
    entry["pin"]["files"] = []
    (site / "bdbench_defense_fake" / "hooks.py").write_text("x = 1 /\n", "utf-8")
    origin = site / "bdbench_defense_fake-1.0.dist-info" / "direct_url.json"
    folder = root / "plugins" / entry["distribution"]
    origin.write_text(json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}}), "utf-8")

    with pytest.raises(RuntimeError, match="the plugin is broken"):
        core_entries.check(entry, root)


def test_the_pin_of_a_wheel_can_be_printed(make_wheel, capsys):
    core_entries.main(["--pin", str(make_wheel())])

    pin = yaml.safe_load(capsys.readouterr().out)["pin"]
    assert Registry.model_validate({"plugins": [changed(checked=None, pin=pin)]})
    assert pin["version"] == "1.0"
