"""Everything that `install` and `uninstall` refuse, asked of them directly."""

from __future__ import annotations

import pytest

from bdbench.api import PluginError
from bdbench.host.install import uninstall
from bdbench.host.requests import Request

NAME = "bdbench-defense-fake"

pytestmark = pytest.mark.usefixtures("no_installer")


def test_a_listed_plugin_is_planned_with_its_digest(plan_of):
    plan = plan_of(Request("fake"))

    assert (plan.target.distribution, plan.target.version) == (NAME, "1.0")
    assert plan.requirements == (f"{NAME}==1.0 --hash=sha256:{'a' * 64}",)
    assert len(plan.command_lines) == 2
    for line in plan.command_lines:
        for option in ("--require-hashes", "--no-deps", "--only-binary :all:", "--constraint"):
            assert option in line


@pytest.mark.parametrize("wanted", ["defense-fake", NAME, f"{NAME}==1.0", "fake"])
def test_every_name_of_a_listed_plugin_leads_to_its_pin(wanted, plan_of):
    assert plan_of(Request(wanted)).target.sha256 == ("a" * 64,)


def test_an_unlisted_plugin_is_refused_and_the_near_miss_told(refuse):
    error = refuse(Request("bdbench-defence-fake==1.0"))

    assert error.what == "the registry does not list this plugin"
    assert error.next.startswith(f"did you mean {NAME}?")
    assert "`bdbench plugins install bdbench-defence-fake==1.0 --unlisted`" in error.next


def test_the_whole_command_for_an_unlisted_plugin_is_told_at_once(refuse):
    error = refuse(Request("bdbench-else"))

    assert error.next.endswith("`bdbench plugins install bdbench-else==VERSION --unlisted`")


def test_an_unlisted_plugin_is_planned_when_that_is_said(plan_of):
    plan = plan_of(Request("bdbench-else==2.0", unlisted=True, sha256="c" * 64))

    assert plan.requirements == (f"bdbench-else==2.0 --hash=sha256:{'c' * 64}",)
    assert plan.warnings == ("the registry does not list it: nobody is known to have looked at it",)


def test_a_near_miss_that_is_wanted_all_the_same_is_warned_about(plan_of):
    plan = plan_of(Request("bdbench-defence-fake==1.0", unlisted=True))

    assert any(NAME in warning and "resembles" in warning for warning in plan.warnings)
    assert any("no digest is known" in warning for warning in plan.warnings)
    # What was got and looked at has a digest then.
    assert "--require-hashes" not in plan.fetch
    assert "--require-hashes" in plan.command


def test_unlisted_says_nothing_about_a_listed_plugin(plan_of):
    assert plan_of(Request("fake", unlisted=True)).target.sha256 == ("a" * 64,)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("bdbench-else", unlisted=True), "exact version"),
        (Request("bdbench-else==1.0", unlisted=True, sha256="abc"), "not a digest"),
        (Request("fake", sha256="abc"), "not a digest"),
        (Request("fake", sha256="c" * 64), f"Expected {'a' * 64}"),
        (Request(f"{NAME}==0.9"), "the registry pins another version"),
        (Request(f"{NAME}==0.9", unlisted=True), "the registry pins another version"),
    ],
)
def test_what_is_not_exact_is_refused(request_, words, refuse):
    assert words in str(refuse(request_))


@pytest.mark.parametrize(
    "wanted",
    [
        "git+https://example.org/x.git",
        "https://example.org/x-1.0-py3-none-any.whl",
        "bdbench-else @ https://example.org/x.whl",
        "bdbench-else[extra]==1.0",
        "bdbench-else>=1.0",
        "bdbench-else==1.*",
        "bdbench-else==1.0,==1.0.0",
        "bdbench-else==1.0; python_version>'3'",
        "bdbench-else==1.0 --index-url https://example.org",
        "bdbench-else==1.0\nother==1.0",
        "--index-url=https://example.org",
        "-r requirements.txt",
        "",
    ],
)
@pytest.mark.parametrize("unlisted", [False, True])
def test_only_a_name_and_an_exact_version_are_let_through(wanted, unlisted, refuse):
    error = refuse(Request(wanted, unlisted=unlisted))

    assert "not a plugin's name" in error.what


@pytest.mark.parametrize("wanted", ["./plugin", "../plugin", "/plugin", "~/x", "a/b", "x.whl"])
@pytest.mark.parametrize("unlisted", [False, True])
def test_a_path_needs_e(wanted, unlisted, refuse):
    error = refuse(Request(wanted, unlisted=unlisted))

    assert error.what == "a path is not a plugin's name"
    assert f"-e {wanted}" in error.next


def test_a_folder_named_like_a_plugin_is_not_meant_by_its_name(tmp_path, monkeypatch, plan_of):
    (tmp_path / "fake").mkdir()
    monkeypatch.chdir(tmp_path)

    assert plan_of(Request("fake")).target.folder is None


@pytest.mark.parametrize("name", ["torch", "bdbench", "numpy", "pluggy", "Torch"])
def test_what_is_installed_and_no_plugin_is_never_moved(name, refuse):
    # Nor is any way named first that would end here too.
    for wanted, unlisted in ((f"{name}==0.1", True), (name, True), (name, False)):
        error = refuse(Request(wanted, unlisted=unlisted))

        assert "no plugin: it is not touched" in error.what


def test_not_even_if_a_registry_lists_it(refuse, entry, registry_of):
    listed = entry(name="torch", distribution="torch", provides=["defense:torch"])

    assert "not touched" in refuse(Request("torch"), registry_of(listed)).what


def test_a_listed_plugin_without_a_published_wheel_is_refused(refuse, entry, registry_of):
    core = entry(tier="core", pin={"version": "1.0", "files": ["b" * 64]})

    for listed in (core, entry(pin=None)):
        assert "no published wheel" in refuse(Request("fake"), registry_of(listed)).what


def test_a_plugin_for_another_api_is_refused(refuse, entry, registry_of):
    error = refuse(Request("fake"), registry_of(entry(api=">=2.0,<3")))

    assert (error.found, error.expected) == ("API 1.0 here", ">=2.0,<3")


def test_what_a_plugin_needs_is_pinned_with_it_unless_it_is_here(plan_of, entry, registry_of):
    needs = [
        {"distribution": "some-lexicon", "version": "3.0", "sha256": ["d" * 64]},
        {"distribution": "numpy", "version": "1.0", "sha256": ["e" * 64]},
    ]
    pin = {"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64], "needs": needs}

    plan = plan_of(Request("fake"), registry_of(entry(pin=pin)))

    assert plan.requirements[1:] == (f"some-lexicon==3.0 --hash=sha256:{'d' * 64}",)


# --- uninstall -----------------------------------------------------------------------------------


def never(dist, command):
    pytest.fail("asked")


@pytest.mark.parametrize("name", ["torch", "bdbench", "Torch"])
def test_nothing_but_plugins_is_removed(name, entry, registry_of):
    with pytest.raises(PluginError, match="no plugin: it is not touched"):
        uninstall(name, registry_of(entry()), never)


def test_what_is_not_installed_is_not_removed(entry, registry_of):
    with pytest.raises(PluginError, match="not installed"):
        uninstall("fake", registry_of(entry()), never)
