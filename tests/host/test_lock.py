"""Locks: what they hold, that they survive being written, and what counts as a difference."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata

import pytest
import yaml

from bdbench.api import InputError
from bdbench.host.digest import package_digest
from bdbench.host.lock import Difference, Lock, differences, make_lock, read_lock, write_lock
from bdbench.host.registry import Registry
from bdbench.host.wheels import read_wheel

EMPTY = Registry(plugins=[])


def forget():
    """As in a new process: what is on the path now counts, not what was imported before."""
    package_digest.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "a_plugin"]:
        del sys.modules[name]


@pytest.fixture
def components(install, host_of, defense_hooks):
    """The components of a plugin with a module of its own."""

    def components(**options):
        install(
            "a-plugin",
            defense_hooks("fake", target="a_plugin.hooks:Thing", **options.pop("spec", {})),
            **options,
        )
        forget()
        return host_of("a-plugin").components()

    return components


@pytest.fixture
def lock(components):
    return make_lock("my-suite", components(), EMPTY)


def changed(lock, **changes):
    data = lock.model_dump(by_alias=True)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = data
        for key in parents:
            target = target[int(key) if key.isdecimal() else key]
        target[last] = value
    return Lock.model_validate(data)


def test_a_lock_names_plugins_code_packages_and_python(lock):
    assert (lock.suite, lock.python, lock.api) == ("my-suite", platform.python_version(), "1.0")
    assert lock.packages["torch"] == metadata.version("torch")
    (plugin,) = lock.plugins
    assert (plugin.distribution, plugin.version) == ("a-plugin", "1.0")
    assert plugin.code == package_digest("a_plugin", "")
    (component,) = lock.components
    assert (component.kind, component.component) == ("defense", "a-plugin/fake")
    assert component.code == plugin.code
    assert lock.host.distribution == "bdbench"
    assert lock.host.code == package_digest("bdbench", "")


def test_the_hosts_own_components_are_no_plugin(toy_host):
    lock = make_lock("s", toy_host.components("dataset"), EMPTY)

    assert [plugin.distribution for plugin in lock.plugins] == ["bdbench-toy"]
    assert "bdbench/sms-spam" in {item.component for item in lock.components}


@pytest.mark.parametrize("as_yaml", [False, True])
def test_a_lock_survives_being_written(lock, tmp_path, as_yaml):
    path = tmp_path / "lock"
    path.write_text(write_lock(lock, as_yaml=as_yaml), "utf-8")

    assert read_lock(path) == lock


def test_a_lock_is_the_same_twice(components):
    found = components()

    one, other = make_lock("s", found, EMPTY), make_lock("s", [*found, *found], EMPTY)
    assert write_lock(one, as_yaml=False) == write_lock(other, as_yaml=False)


def test_nothing_differs_where_it_was_made(lock, host_of):
    assert differences(lock, EMPTY) == []
    assert differences(lock, EMPTY, host_of("a-plugin").components()) == []


OTHER = {
    "python": ("python", "python"),
    "api": ("api", "api"),
    "a package": ("packages__torch", "torch"),
    "the host": ("host__version", "bdbench"),
    "the host's code": ("host__code", "code of bdbench"),
    "a plugin": ("plugins__0__version", "a-plugin"),
    "a plugin's code": ("plugins__0__code", "code of a-plugin"),
}


@pytest.mark.parametrize(("path", "what"), OTHER.values(), ids=OTHER)
def test_what_differs_is_told_with_both_sides(lock, path, what):
    (found,) = differences(changed(lock, **{path: "0.0"}), EMPTY)

    assert (found.what, found.locked) == (what, "0.0")
    assert found.here not in {"", "0.0"}


def test_a_package_that_one_side_lacks_differs(lock):
    without = changed(lock, packages={})

    assert Difference("torch", "", metadata.version("torch")) in differences(without, EMPTY)
    unknown = changed(lock, packages={**lock.packages, "tokenizers": "1.2.3"})
    assert [item.what for item in differences(unknown, EMPTY)] == ["tokenizers"]


def test_a_plugin_that_is_not_installed_differs(lock):
    unknown = changed(lock, plugins__0__distribution="bdbench-ghost")

    assert differences(unknown, EMPTY) == [Difference("bdbench-ghost", "1.0", "")]


def test_changed_code_of_the_same_version_differs(lock, install, defense_hooks):
    install("a-plugin", defense_hooks("fake", target="a_plugin.hooks:Thing") + "# changed\n")
    forget()

    (found,) = differences(lock, EMPTY)
    assert found.what == "code of a-plugin"


def test_a_component_too_many_and_one_too_few_differ(lock, toy_host):
    (mean,) = (item for item in toy_host.components("defense") if item.spec.name == "toy-mean")

    found = differences(lock, EMPTY, [mean])

    assert [item.what for item in found] == [
        "defense a-plugin/fake",
        "defense bdbench-toy/toy-mean",
    ]
    assert [bool(item.locked) for item in found] == [True, False]
    assert found[0].here == ""


def test_another_revision_of_a_component_differs(lock, components):
    later = components(spec={"extra": "revision=2"})

    (found,) = differences(lock, EMPTY, later)
    assert (found.locked[:10], found.here[:10]) == ("revision 1", "revision 2")


def test_the_wheel_of_a_pinned_plugin_is_named(make_wheel, tmp_path, monkeypatch, host_of):
    import zipfile

    wheel = read_wheel(make_wheel())
    with zipfile.ZipFile(wheel.path) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    entry = {
        "name": "defense-fake",
        "distribution": "bdbench-defense-fake",
        "tier": "community",
        "summary": "A fake.",
        "provides": ["defense:fake"],
        "license": "MIT",
        "api": ">=1.0,<2",
        "pin": {"version": "1.0", "sha256": [wheel.sha256], "files": [wheel.files]},
    }
    registry = Registry.model_validate({"plugins": [entry]})
    (component,) = host_of("bdbench-defense-fake").components()
    # Its class is nowhere: the code is that of the package which has the entry point.
    spec = type(component.spec)(
        name="fake", target="bdbench_defense_fake.hooks:Thing", summary="A fake."
    )
    component = type(component)(spec, component.distribution, component.version)

    (listed,) = make_lock("s", [component], registry).plugins
    (unknown,) = make_lock("s", [component], EMPTY).plugins
    origin = tmp_path / "site" / "bdbench_defense_fake-1.0.dist-info" / "direct_url.json"
    origin.write_text(
        json.dumps({"url": "file:///x.whl", "archive_info": {"hashes": {"sha256": "c" * 64}}}),
        "utf-8",
    )
    (direct,) = make_lock("s", [component], EMPTY).plugins

    assert listed.sha256 == [wheel.sha256]
    assert unknown.sha256 == []
    assert direct.sha256 == ["c" * 64]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema": "bdbench.lock/2"}', "plugins: !!python/name:os.system"]
)
def test_what_is_no_lock_is_refused(tmp_path, text):
    path = tmp_path / "lock.yaml"
    path.write_text(text, "utf-8")

    with pytest.raises(InputError, match="the lock cannot be read"):
        read_lock(path)


def test_a_lock_with_an_unknown_key_is_refused(lock, tmp_path):
    path = tmp_path / "lock.yaml"
    data = lock.model_dump(mode="json", by_alias=True) | {"more": 1}
    path.write_text(yaml.safe_dump(data), "utf-8")

    with pytest.raises(InputError, match="more: 1"):
        read_lock(path)


def test_a_lock_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="the lock cannot be read"):
        read_lock(tmp_path / "none")
