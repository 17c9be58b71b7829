"""What a lock says of what plugins rest on, and the file of requirements that installs it."""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.requirements import Requirement

from bdbench.api import InputError
from bdbench.host.catalog import Host
from bdbench.host.installed import origin_of
from bdbench.host.lock import Difference, Lock, differences, make_lock
from bdbench.host.lock_requirements import requirements_of
from bdbench.host.plugins import discover
from bdbench.host.registry import Registry

EMPTY = Registry(plugins=[])
CODE = "c" * 64


def plugin(name, version="1.0", sha256=()):
    return {"distribution": name, "version": version, "code": CODE, "sha256": list(sha256)}


def lock_of(*plugins, packages=None, **changes):
    data = {
        "schema": "bdbench.lock/1",
        "suite": "my-suite",
        "python": "3.11.7",
        "api": "1.0",
        "host": plugin("bdbench", "0.1.0"),
        "packages": packages or {},
        "plugins": list(plugins),
        "components": [],
    }
    return Lock.model_validate({**data, **changes})


def listed(name, pin, tier="community"):
    return {
        "name": name.removeprefix("bdbench-"),
        "distribution": name,
        "tier": tier,
        "summary": "A fake.",
        "provides": [],
        "license": "MIT",
        "api": ">=1.0,<2",
        "pin": pin,
    }


def lines_of(lock, registry=EMPTY):
    text = requirements_of(lock, registry)
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.fixture(autouse=True)
def from_an_index(monkeypatch):
    """However bdbench is installed here."""
    monkeypatch.setattr("bdbench.host.lock_requirements.origin_of", lambda dist: {})


@pytest.fixture
def needing(install, defense_hooks):
    """Installs a plugin that requires something, and gives its components."""

    def needing(*requires):
        package = install("a-plugin", defense_hooks("fake", target="a_plugin.hooks:Thing"))
        (info,) = package.parent.glob("*.dist-info")
        with (info / "METADATA").open("a", encoding="utf-8") as file:
            file.writelines(f"Requires-Dist: {text}\n" for text in requires)
        found = [item for item in discover() if item[0].distribution == "a-plugin"]
        return Host(found).components()

    return needing


def test_a_lock_holds_what_its_plugins_and_the_host_require(needing):
    lock = make_lock("s", needing("Python_Dateutil", "bdbench>=0.1", "iniconfig>=1"), EMPTY)

    assert lock.packages["python-dateutil"] == metadata.version("python-dateutil")
    assert lock.packages["iniconfig"] == metadata.version("iniconfig")
    assert lock.packages["click"] == metadata.version("click")
    assert "bdbench" not in lock.packages
    assert list(lock.packages) == sorted(lock.packages)
    assert "iniconfig" not in make_lock("s", needing(), EMPTY).packages


@pytest.mark.parametrize(
    "requirement",
    [
        "iniconfig; python_version < '3'",
        "iniconfig; extra == 'more'",
        "not a requirement ((",
        "nobody-has-this>=1",
    ],
)
def test_what_is_not_required_here_is_in_no_lock(needing, requirement):
    assert make_lock("s", needing(requirement), EMPTY) == make_lock("s", needing(), EMPTY)


def test_another_version_of_what_a_plugin_requires_differs(needing):
    lock = make_lock("s", needing("iniconfig"), EMPTY)
    here = lock.packages["iniconfig"]
    other = lock.model_copy(update={"packages": {**lock.packages, "iniconfig": "0.1"}})

    assert differences(lock, EMPTY) == []
    assert differences(other, EMPTY) == [Difference("iniconfig", "0.1", here)]


def test_what_a_missing_plugin_requires_is_looked_up_all_the_same(needing):
    lock = make_lock("s", needing("iniconfig"), EMPTY)
    (own,) = lock.plugins
    ghost = own.model_copy(update={"distribution": "bdbench-ghost"})
    found = differences(lock.model_copy(update={"plugins": [ghost]}), EMPTY)

    assert [item.what for item in found] == ["bdbench-ghost"]


def test_requirements_name_the_host_packages_and_plugins():
    lock = lock_of(plugin("bdbench-x"), packages={"wordfreq": "3.1.1", "torch": "2.13.0+cpu"})

    assert lines_of(lock) == [
        "bdbench==0.1.0", "torch==2.13.0+cpu", "wordfreq==3.1.1", "bdbench-x==1.0",
    ]  # fmt: skip
    assert requirements_of(lock, EMPTY).startswith(
        '# The suite "my-suite" was locked with this, on Python "3.11.7", bdbench\'s API "1.0".\n'
    )


def test_known_wheels_stand_with_their_digests():
    pin = {
        "version": "1.0",
        "sha256": ["a" * 64, "b" * 64],
        "files": ["d" * 64, "e" * 64],
        "needs": [{"distribution": "wordfreq", "version": "3.1.1", "sha256": ["f" * 64]}],
    }
    registry = Registry.model_validate({"plugins": [listed("bdbench-x", pin)]})
    lock = lock_of(
        plugin("bdbench-x", sha256=pin["sha256"]), packages={"wordfreq": "3.1.1", "torch": "2.13"}
    )

    assert lines_of(lock, registry) == [
        "bdbench==0.1.0",
        "torch==2.13",
        f"wordfreq==3.1.1 --hash=sha256:{'f' * 64}",
        f"bdbench-x==1.0 --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}",
    ]
    assert "others have none" in requirements_of(lock, registry)
    # A digest is one of a version.
    other = lock_of(plugin("bdbench-x", "2.0"), packages={"wordfreq": "3.1.1"})
    assert not any("--hash" in line for line in lines_of(other, registry))
    older = lock_of(plugin("bdbench-x"), packages={"wordfreq": "3.0"})
    assert "wordfreq==3.0" in lines_of(older, registry)
    assert "others have none" not in requirements_of(older, registry)


def test_plugins_without_published_wheels_are_told():
    pin = {"version": "1.0", "files": ["d" * 64]}
    registry = Registry.model_validate({"plugins": [listed("bdbench-a", pin, "core")]})
    text = requirements_of(lock_of(plugin("bdbench-a"), plugin("bdbench-b")), registry)

    *_, other, notice, core = text.splitlines()
    assert (other, core) == ("bdbench-b==1.0", "bdbench-a==1.0")
    assert notice.startswith("# No wheel of these is published")


def test_what_came_from_a_folder_is_told_the_host_too(install, monkeypatch):
    """What no index has stands under the notice, unless a digest of it is known."""
    for name in ("bdbench-a", "bdbench-b"):
        package = install(name, "")
        (info,) = package.parent.glob("*.dist-info")
        (info / "direct_url.json").write_text(
            '{"url": "file:///a", "dir_info": {"editable": true}}', "utf-8"
        )
    folder = {"url": "file:///here", "dir_info": {}}
    monkeypatch.setattr(
        "bdbench.host.lock_requirements.origin_of",
        lambda dist: folder if dist.name == "bdbench" else origin_of(dist),
    )
    host = plugin("bdbench", metadata.version("bdbench"))
    given = [plugin("bdbench-a"), plugin("bdbench-b", sha256=["a" * 64]), plugin("bdbench-c")]
    text = requirements_of(lock_of(*given, plugin("bdbench-a", "2.0"), host=host), EMPTY)

    before, notice, after = text.partition("# No wheel of these is published")
    assert notice
    assert "bdbench-a==1.0" not in before
    for line in (f"bdbench-b==1.0 --hash=sha256:{'a' * 64}", "bdbench-c==1.0", "bdbench-a==2.0"):
        assert line in before
    lines = [line for line in after.splitlines() if "==" in line]
    assert lines == [f"bdbench=={metadata.version('bdbench')}", "bdbench-a==1.0"]


def test_what_came_from_a_repository_is_told_too(monkeypatch):
    commit = {"vcs": "git", "commit_id": "abc"}
    origins = {
        "bdbench": {"url": "https://example.org/b.git", "vcs_info": commit},
        "click": {"url": "https://example.org/c.git", "vcs_info": commit},
        "pluggy": {"url": "https://example.org/p.whl", "archive_info": {}},
        "packaging": {"url": "file:///conda/work", "dir_info": {}},
    }
    monkeypatch.setattr(
        "bdbench.host.lock_requirements.origin_of", lambda dist: origins.get(dist.name, {})
    )
    packages = {name: metadata.version(name) for name in ("click", "pluggy", "packaging")}
    host = plugin("bdbench", metadata.version("bdbench"))
    text = requirements_of(lock_of(host=host, packages=packages), EMPTY)

    before, _, after = text.partition("# No wheel of these is published")
    assert [line.partition("==")[0] for line in after.splitlines()[1:]] == ["bdbench", "click"]
    assert f"pluggy=={packages['pluggy']}" in before
    # What is here in another version says nothing of that which was locked.
    other = lock_of(host=plugin("bdbench", "0.0.1"), packages={"click": "0.1"})
    assert "published" not in requirements_of(other, EMPTY)


BAD = {
    "an option": {"host": plugin("bdbench", "1.0\n--index-url https://example.org")},
    "an address": {"packages": {"numpy @ https://example.org/x.whl#": "1"}},
    "a marker": {"packages": {"numpy": "1; python_version > '3'"}},
    "a range": {"packages": {"numpy": "1,>0"}},
    "an option in a name": {"packages": {"-r x\nnumpy": "1"}},
    "an extra": {"packages": {"numpy[x]": "1"}},
    "no digest": {"plugins": [plugin("bdbench-x", sha256=["abc\n--index-url x"])]},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_what_a_strange_lock_would_smuggle_in_is_refused(changes):
    with pytest.raises(InputError, match="the lock holds what cannot be installed") as caught:
        requirements_of(lock_of(**changes), EMPTY)

    assert "\n" not in str(caught.value)


def test_no_name_of_a_suite_begins_a_line():
    text = requirements_of(lock_of(suite="x\n--index-url y", python="\r\n-e z"), EMPTY)

    assert [line for line in text.splitlines() if not line.startswith("#")] == ["bdbench==0.1.0"]


def test_every_line_is_a_requirement():
    lock = lock_of(plugin("Bdbench_X.Caps", "1.0rc1"), packages={"a": "1!2.0.post1"})

    assert [Requirement(line).name for line in lines_of(lock)] == ["bdbench", "a", "Bdbench_X.Caps"]


@pytest.mark.parametrize("packages", [{"": "1"}])
def test_a_lock_with_an_empty_name_is_no_lock(packages):
    with pytest.raises(ValueError, match="at least 1 character"):
        lock_of(packages=packages)
