"""Everything that `install` and `uninstall` refuse, asked of them directly."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import pytest

from bdbench.api import BdbenchError, PluginError
from bdbench.host.files import sha256_of
from bdbench.host.install import install, uninstall
from bdbench.host.installers import Installer
from bdbench.host.registry import Registry
from bdbench.host.requests import Request
from bdbench.host.wheels import read_wheel

NAME = "bdbench-defense-fake"


def entry(**changes):
    return {
        "name": "defense-fake",
        "distribution": NAME,
        "tier": "community",
        "summary": "A fake.",
        "provides": ["defense:fake"],
        "license": "MIT",
        "api": ">=1.0,<2",
        "pin": {"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64]},
        **changes,
    }


def registry_of(*entries):
    return Registry.model_validate({"plugins": list(entries)})


REGISTRY = registry_of(entry())


@pytest.fixture(autouse=True)
def no_installer(monkeypatch):
    """No test gets as far as calling pip or uv."""

    def call(self, command, folder):
        pytest.fail(f"called {command}")

    monkeypatch.setattr(Installer, "call", call)
    monkeypatch.setattr(
        "bdbench.host.install.find_installer", lambda wanted: Installer("pip", ["pip"])
    )


def refuse(request, registry=REGISTRY):
    """The refusal of a request, before anybody is asked."""
    with pytest.raises(BdbenchError) as caught:
        install(request, registry, lambda plan: pytest.fail("asked"))
    return caught.value


def plan_of(request, registry=REGISTRY):
    """The plan of a request that is not refused."""
    plans = []
    done = install(request, registry, plans.append)
    # It was not agreed to.
    assert done is None
    return plans[0]


def test_a_listed_plugin_is_planned_with_its_digest():
    plan = plan_of(Request("fake"))

    assert (plan.target.distribution, plan.target.version) == (NAME, "1.0")
    assert plan.requirements == (f"{NAME}==1.0 --hash=sha256:{'a' * 64}",)
    assert len(plan.command_lines) == 2
    for line in plan.command_lines:
        for option in ("--require-hashes", "--no-deps", "--only-binary :all:", "--constraint"):
            assert option in line


@pytest.mark.parametrize("wanted", ["defense-fake", NAME, f"{NAME}==1.0", "fake"])
def test_every_name_of_a_listed_plugin_leads_to_its_pin(wanted):
    assert plan_of(Request(wanted)).target.sha256 == ("a" * 64,)


def test_an_unlisted_plugin_is_refused_and_the_near_miss_told():
    error = refuse(Request("bdbench-defence-fake==1.0"))

    assert error.what == "the registry does not list this plugin"
    assert error.next.startswith(f"did you mean {NAME}?")
    assert "`bdbench plugins install bdbench-defence-fake==1.0 --unlisted`" in error.next


def test_the_whole_command_for_an_unlisted_plugin_is_told_at_once():
    error = refuse(Request("bdbench-else"))

    assert error.next.endswith("`bdbench plugins install bdbench-else==VERSION --unlisted`")


def test_an_unlisted_plugin_is_planned_when_that_is_said():
    plan = plan_of(Request("bdbench-else==2.0", unlisted=True, sha256="c" * 64))

    assert plan.requirements == (f"bdbench-else==2.0 --hash=sha256:{'c' * 64}",)
    assert plan.warnings == ("the registry does not list it: nobody is known to have looked at it",)


def test_a_near_miss_that_is_wanted_all_the_same_is_warned_about():
    plan = plan_of(Request("bdbench-defence-fake==1.0", unlisted=True))

    assert any(NAME in warning and "resembles" in warning for warning in plan.warnings)
    assert any("no digest is known" in warning for warning in plan.warnings)
    # What was got and looked at has a digest then.
    assert "--require-hashes" not in plan.fetch
    assert "--require-hashes" in plan.command


def test_unlisted_says_nothing_about_a_listed_plugin():
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
def test_what_is_not_exact_is_refused(request_, words):
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
def test_only_a_name_and_an_exact_version_are_let_through(wanted, unlisted):
    error = refuse(Request(wanted, unlisted=unlisted))

    assert "not a plugin's name" in error.what


@pytest.mark.parametrize("wanted", ["./plugin", "../plugin", "/plugin", "~/x", "a/b", "x.whl"])
@pytest.mark.parametrize("unlisted", [False, True])
def test_a_path_needs_e(wanted, unlisted):
    error = refuse(Request(wanted, unlisted=unlisted))

    assert error.what == "a path is not a plugin's name"
    assert f"-e {wanted}" in error.next


def test_a_folder_named_like_a_plugin_is_not_meant_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "fake").mkdir()
    monkeypatch.chdir(tmp_path)

    assert plan_of(Request("fake")).target.folder is None


@pytest.mark.parametrize("name", ["torch", "bdbench", "numpy", "pluggy", "Torch"])
def test_what_is_installed_and_no_plugin_is_never_moved(name):
    # Nor is any way named first that would end here too.
    for wanted, unlisted in ((f"{name}==0.1", True), (name, True), (name, False)):
        error = refuse(Request(wanted, unlisted=unlisted))

        assert "no plugin: it is not touched" in error.what


def test_not_even_if_a_registry_lists_it():
    listed = entry(name="torch", distribution="torch", provides=["defense:torch"])

    assert "not touched" in refuse(Request("torch"), registry_of(listed)).what


def test_a_listed_plugin_without_a_published_wheel_is_refused():
    core = entry(tier="core", pin={"version": "1.0", "files": ["b" * 64]})

    for listed in (core, entry(pin=None)):
        assert "no published wheel" in refuse(Request("fake"), registry_of(listed)).what


def test_a_plugin_for_another_api_is_refused():
    error = refuse(Request("fake"), registry_of(entry(api=">=2.0,<3")))

    assert (error.found, error.expected) == ("API 1.0 here", ">=2.0,<3")


def test_what_a_plugin_needs_is_pinned_with_it_unless_it_is_here():
    needs = [
        {"distribution": "some-lexicon", "version": "3.0", "sha256": ["d" * 64]},
        {"distribution": "numpy", "version": "1.0", "sha256": ["e" * 64]},
    ]
    pin = {"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64], "needs": needs}

    plan = plan_of(Request("fake"), registry_of(entry(pin=pin)))

    assert plan.requirements[1:] == (f"some-lexicon==3.0 --hash=sha256:{'d' * 64}",)


# --- wheels and folders on this machine ----------------------------------------------------------


def pinned(wheel, **changes):
    found = read_wheel(wheel)
    pin = {"version": found.version, "sha256": [found.sha256], "files": [found.files], **changes}
    return registry_of(entry(pin=pin, tier=changes.get("tier", "community")))


def test_the_pinned_wheel_is_planned_with_its_digest(make_wheel):
    wheel = make_wheel()

    plan = plan_of(Request(str(wheel), editable=True), pinned(wheel))

    assert plan.requirements[0].startswith(f"{NAME} @ file://")
    assert plan.requirements[0].endswith(f"--hash=sha256:{plan.target.sha256[0]}")
    assert plan.warnings == ()


def test_a_wheel_with_one_changed_byte_is_refused_with_both_digests(make_wheel, tmp_path):
    good = make_wheel()
    registry = pinned(good)
    (tmp_path / "bad").mkdir()
    text = "from bdbench.api import DefenseSpec\n#"
    bad = make_wheel(folder=tmp_path / "bad", hooks=text + "a")
    registry = pinned(bad)
    other = make_wheel(folder=tmp_path / "bad", hooks=text + "b")

    error = refuse(Request(str(other), editable=True), registry)

    assert error.what == "this is not the wheel that the registry pins"
    assert error.expected == registry.plugins[0].pin.sha256[0]
    assert error.found.startswith("sha256 of the wheel ")
    assert error.expected not in error.found


def test_a_pinned_wheel_that_is_damaged_is_refused_with_both_digests(make_wheel):
    wheel = make_wheel()
    registry = pinned(wheel)
    wheel.write_bytes(b"Q" + wheel.read_bytes()[1:])

    error = refuse(Request(str(wheel), editable=True), registry)

    assert error.expected == registry.plugins[0].pin.sha256[0]
    assert error.found == f"sha256 of the wheel {sha256_of(wheel)}"


def test_the_name_of_a_file_hides_no_pinned_version(make_wheel):
    wheel = make_wheel()
    registry = pinned(wheel, sha256=["c" * 64])
    other = wheel.rename(wheel.with_name(wheel.name.replace("1.0", "9.9")))

    error = refuse(Request(str(other), editable=True), registry)

    assert error.what == "the wheel cannot be read"
    assert error.found.startswith("its metadata say version 1.0, its file name 9.9")


def test_without_a_published_wheel_the_files_of_one_decide(make_wheel, tmp_path):
    wheel = make_wheel()
    registry = registry_of(
        entry(
            tier="core",
            pin={"version": "1.0", "files": [pinned(wheel).plugins[0].pin.files[0]]},
        )
    )
    (tmp_path / "other").mkdir()
    # Another build of the same files is another wheel.
    rebuilt = make_wheel(folder=tmp_path / "other")
    with zipfile.ZipFile(rebuilt, "a") as archive:
        archive.comment = b"built elsewhere"

    assert plan_of(Request(str(rebuilt), editable=True), registry).warnings == ()
    changed = make_wheel(folder=tmp_path / "other", hooks="x = 1\n")
    error = refuse(Request(str(changed), editable=True), registry)
    assert error.found.startswith("digest of the wheel's files ")
    assert error.expected == registry.plugins[0].pin.files[0]


def test_a_digest_that_is_given_holds_for_every_wheel(make_wheel):
    wheel = make_wheel()
    digests = ["c" * 64, sha256_of(wheel)]
    registry = pinned(wheel, sha256=digests, files=["b" * 64, read_wheel(wheel).files])

    def given(wanted, sha256, **more):
        return Request(wanted, sha256=sha256, **more)

    for request in (
        given(str(wheel), "c" * 64, editable=True),
        given(str(wheel), "d" * 64, editable=True),
        given("fake", "d" * 64),
    ):
        assert refuse(request, registry).what == "this is not the wheel of that digest"
    for request in (
        given(str(wheel), sha256_of(wheel), editable=True),
        given("fake", sha256_of(wheel)),
    ):
        assert plan_of(request, registry).target.sha256 == (sha256_of(wheel),)


def test_a_wheel_of_another_version_than_the_pinned_one_is_refused(make_wheel):
    wheel = make_wheel()

    error = refuse(Request(str(wheel), editable=True), pinned(wheel, version="2.0"))

    assert (error.found, error.expected) == (f"{NAME} 1.0", "2.0")


def test_a_wheel_that_is_not_listed_is_warned_about(make_wheel):
    wheel = make_wheel("bdbench-defence-fake")

    plan = plan_of(Request(str(wheel), editable=True))

    assert [NAME in warning for warning in plan.warnings] == [False, True]


@pytest.mark.parametrize("points", ["", "[other]\nx = a.b\n"])
def test_a_wheel_that_is_no_plugin_is_refused(make_wheel, points):
    wheel = make_wheel("bdbench-else", entry_points=points)

    assert "not a plugin" in refuse(Request(str(wheel), editable=True)).what


@pytest.fixture
def make_folder(tmp_path):
    def make_folder(text):
        folder = tmp_path / "sources"
        folder.mkdir(exist_ok=True)
        (folder / "pyproject.toml").write_text(text, "utf-8")
        return Request(str(folder), editable=True)

    return make_folder


PROJECT = """
[project]
name = "bdbench-mine"
version = "0.1"
dependencies = ["bdbench>=0.1", "numpy"]
[project.entry-points.bdbench]
mine = "bdbench_mine.hooks"
"""


def test_a_folder_of_sources_is_planned_as_editable(make_folder):
    plan = plan_of(make_folder(PROJECT))

    assert plan.command[-2] == "--editable"
    assert "--no-deps" in plan.command
    assert plan.requirements == ()
    assert "its build tool runs now" in plan.warnings[0]


def test_what_builds_a_folder_is_looked_for_where_that_is_said(make_folder, tmp_path):
    request = replace(make_folder(PROJECT), find_links=(str(tmp_path),), no_index=True)

    plan = plan_of(request)

    assert plan.command[-5:-1] == ("--no-index", "--find-links", str(tmp_path), "--editable")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[project]", "[tool]", "not the folder of a plugin"),
        ('"bdbench-mine"', "1", "not the folder of a plugin"),
        ("[project]", "[project", "not the folder of a plugin"),
        ("entry-points.bdbench", "entry-points.other", "not a plugin of bdbench"),
        ("numpy", "a-package-of-nobody", "what this plugin requires is not here"),
        ("bdbench>=0.1", "bdbench>=99", "what this plugin requires is not here"),
        ("bdbench-mine", "torch", "not touched"),
        ('["bdbench>=0.1", "numpy"]', '"torch"', "its dependencies are no list"),
        ('["bdbench>=0.1", "numpy"]', "[1]", "its dependencies are no list"),
    ],
)
def test_a_folder_that_is_no_usable_plugin_is_refused(make_folder, old, new, words):
    assert words in refuse(make_folder(PROJECT.replace(old, new))).what


def test_what_cannot_be_told_of_a_folder_is_warned_about(make_folder):
    listed = PROJECT.replace("bdbench-mine", NAME)
    dynamic = PROJECT.replace(
        'dependencies = ["bdbench>=0.1", "numpy"]', 'dynamic = ["dependencies"]'
    )

    for text, words in ((listed, "its files are not checked"), (dynamic, "what it requires")):
        assert [words in line for line in plan_of(make_folder(text)).warnings] == [False, True]


def test_a_folder_has_no_digest_to_be_held_against(make_folder):
    request = replace(make_folder(PROJECT), sha256="c" * 64)

    assert refuse(request).what == "a folder has no digest"


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert "not the folder" in refuse(Request(str(tmp_path / "no"), editable=True)).what


def test_the_home_of_nobody_is_told():
    for request in (
        Request("~nobody-is-called-so/x", editable=True),
        Request("fake", find_links=("~nobody-is-called-so",)),
    ):
        assert "the home of a user who is not known here" in refuse(request).what


# --- uninstall -----------------------------------------------------------------------------------


def never(dist, command):
    pytest.fail("asked")


@pytest.mark.parametrize("name", ["torch", "bdbench", "Torch"])
def test_nothing_but_plugins_is_removed(name):
    with pytest.raises(PluginError, match="no plugin: it is not touched"):
        uninstall(name, REGISTRY, never)


def test_what_is_not_installed_is_not_removed():
    with pytest.raises(PluginError, match="not installed"):
        uninstall("fake", REGISTRY, never)
