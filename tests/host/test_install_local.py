"""What `install` refuses of wheels and folders on this machine, asked of it directly."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import pytest

from bdbench.host.files import sha256_of
from bdbench.host.requests import Request
from bdbench.host.wheels import read_wheel

NAME = "bdbench-defense-fake"


pytestmark = pytest.mark.usefixtures("no_installer")


@pytest.fixture
def pinned(entry, registry_of):
    """A registry that pins a wheel."""

    def pinned(wheel, **changes):
        found = read_wheel(wheel)
        pin = {"version": found.version, "sha256": [found.sha256], "files": [found.files]}
        return registry_of(entry(pin=pin | changes, tier=changes.get("tier", "community")))

    return pinned


def test_the_pinned_wheel_is_planned_with_its_digest(make_wheel, plan_of, pinned):
    wheel = make_wheel()

    plan = plan_of(Request(str(wheel), editable=True), pinned(wheel))

    assert plan.requirements[0].startswith(f"{NAME} @ file://")
    assert plan.requirements[0].endswith(f"--hash=sha256:{plan.target.sha256[0]}")
    assert plan.warnings == ()


def test_a_wheel_with_one_changed_byte_is_refused_with_both_digests(
    make_wheel, tmp_path, refuse, pinned
):
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


def test_a_pinned_wheel_that_is_damaged_is_refused_with_both_digests(make_wheel, refuse, pinned):
    wheel = make_wheel()
    registry = pinned(wheel)
    wheel.write_bytes(b"Q" + wheel.read_bytes()[1:])

    error = refuse(Request(str(wheel), editable=True), registry)

    assert error.expected == registry.plugins[0].pin.sha256[0]
    assert error.found == f"sha256 of the wheel {sha256_of(wheel)}"


def test_the_name_of_a_file_hides_no_pinned_version(make_wheel, refuse, pinned):
    wheel = make_wheel()
    registry = pinned(wheel, sha256=["c" * 64])
    other = wheel.rename(wheel.with_name(wheel.name.replace("1.0", "9.9")))

    error = refuse(Request(str(other), editable=True), registry)

    assert error.what == "the wheel cannot be read"
    assert error.found.startswith("its metadata say version 1.0, its file name 9.9")


def test_without_a_published_wheel_the_files_of_one_decide(
    make_wheel, tmp_path, refuse, plan_of, entry, registry_of, pinned
):
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


def test_a_digest_that_is_given_holds_for_every_wheel(make_wheel, refuse, plan_of, pinned):
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


def test_a_wheel_of_another_version_than_the_pinned_one_is_refused(make_wheel, refuse, pinned):
    wheel = make_wheel()

    error = refuse(Request(str(wheel), editable=True), pinned(wheel, version="2.0"))

    assert (error.found, error.expected) == (f"{NAME} 1.0", "2.0")


def test_a_wheel_that_is_not_listed_is_warned_about(make_wheel, plan_of):
    wheel = make_wheel("bdbench-defence-fake")

    plan = plan_of(Request(str(wheel), editable=True))

    assert [NAME in warning for warning in plan.warnings] == [False, True]


@pytest.mark.parametrize("points", ["", "[other]\nx = a.b\n"])
def test_a_wheel_that_is_no_plugin_is_refused(make_wheel, points, refuse):
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


def test_a_folder_of_sources_is_planned_as_editable(make_folder, plan_of):
    plan = plan_of(make_folder(PROJECT))

    assert plan.command[-2] == "--editable"
    assert "--no-deps" in plan.command
    assert plan.requirements == ()
    assert "its build tool runs now" in plan.warnings[0]


def test_what_builds_a_folder_is_looked_for_where_that_is_said(make_folder, tmp_path, plan_of):
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
def test_a_folder_that_is_no_usable_plugin_is_refused(make_folder, old, new, words, refuse):
    assert words in refuse(make_folder(PROJECT.replace(old, new))).what


def test_what_cannot_be_told_of_a_folder_is_warned_about(make_folder, plan_of):
    listed = PROJECT.replace("bdbench-mine", NAME)
    dynamic = PROJECT.replace(
        'dependencies = ["bdbench>=0.1", "numpy"]', 'dynamic = ["dependencies"]'
    )

    for text, words in ((listed, "its files are not checked"), (dynamic, "what it requires")):
        assert [words in line for line in plan_of(make_folder(text)).warnings] == [False, True]


def test_a_folder_has_no_digest_to_be_held_against(make_folder, refuse):
    request = replace(make_folder(PROJECT), sha256="c" * 64)

    assert refuse(request).what == "a folder has no digest"


def test_a_folder_that_is_not_there_is_refused(tmp_path, refuse):
    assert "not the folder" in refuse(Request(str(tmp_path / "no"), editable=True)).what


def test_the_home_of_nobody_is_told(refuse):
    for request in (
        Request("~nobody-is-called-so/x", editable=True),
        Request("fake", find_links=("~nobody-is-called-so",)),
    ):
        assert "the home of a user who is not known here" in refuse(request).what
