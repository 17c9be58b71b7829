"""``bdbench plugins`` and its commands: what is listed, found, looked at, planned and asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import pytest
import yaml

from bdbench.host.wheels import read_wheel

NAME = "bdbench-defense-fake"
NOTICE = "Listing is not endorsement."


def of(found, name=NAME):
    (one,) = (item for item in found if item["distribution"] == name)
    return one


# --- the list ------------------------------------------------------------------------------------


def test_the_list_says_where_each_plugins_files_stand(bdbench, registry, unpack, make_wheel):
    wheel = make_wheel()
    registry(wheel)
    unpack(wheel)

    found = json.loads(bdbench("plugins", "--json").out)

    assert (of(found)["files"], of(found)["tier"]) == ("pinned", "community")
    assert of(found, "bdbench-toy")["files"] == "unrecorded"
    assert all(item["files"] is None for item in found if item["distribution"] == "bdbench")


def test_a_plugin_whose_files_do_not_match_is_shown_as_such(
    bdbench, registry, unpack, make_wheel, tmp_path
):
    wheel = make_wheel()
    registry(wheel)
    package = unpack(wheel)

    assert "! its files" not in bdbench("plugins").out
    (package / "__init__.py").write_text("x = 1\n", "utf-8")
    changed = bdbench("plugins").out
    (package / "__init__.py").write_text("", "utf-8")
    registry(wheel, pin={"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64]})
    different = bdbench("plugins").out

    assert (
        "! its files are not those that were installed: "
        "bdbench_defense_fake/__init__.py: RECORD has sha256 e3b0c442" in changed
    )
    assert "! its files are not those that the registry pins: digest of the files" in different
    assert "b" * 64 in different


def test_an_unlisted_name_that_resembles_a_listed_one_is_told(
    bdbench, registry, unpack, make_wheel
):
    registry()
    unpack(make_wheel("bdbench-defence-fake"))

    assert f"! not in the registry, and its name resembles {NAME}" in bdbench("plugins").out


def test_requirements_install_the_same_again(bdbench, unpack, make_wheel, tmp_path):
    package = unpack(make_wheel())
    origin = package.parent / "bdbench_defense_fake-1.0.dist-info" / "direct_url.json"

    def lines():
        return bdbench("plugins", "--requirements").out.splitlines()

    assert f"{NAME}==1.0" in lines()
    assert "bdbench-toy==0.1" in lines()
    assert not any(line.startswith("bdbench==") for line in lines())
    origin.write_text('{"url": "file:///x/y", "dir_info": {"editable": true}}', "utf-8")
    assert "-e /x/y" in lines()
    origin.write_text('{"url": "file:///x.whl", "archive_info": {}}', "utf-8")
    assert f"{NAME} @ file:///x.whl  # 1.0" in lines()
    found = {
        "url": "https://example.org/x.git",
        "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "abc"},
    }
    origin.write_text(json.dumps(found), "utf-8")
    assert f"{NAME} @ git+https://example.org/x.git@abc  # 1.0" in lines()
    origin.write_text(json.dumps({**found, "subdirectory": "a/b"}), "utf-8")
    assert f"{NAME} @ git+https://example.org/x.git@abc#subdirectory=a/b  # 1.0" in lines()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "search", "onion"],
        ["--requirements", "verify"],
        ["--requirements", "--json"],
    ],
    ids=" ".join,
)
def test_an_option_of_the_list_that_would_do_nothing_is_refused(bdbench, arguments):
    done = bdbench("plugins", *arguments)

    assert (done.code, done.out) == (4, "")
    assert arguments[0] in done.err


def test_two_hundred_plugins_are_listed_and_what_is_disabled_is_not_imported(tmp_path, make_wheel):
    site = tmp_path / "site"
    for number in range(200):
        trace = f"open({str(tmp_path / f'trace-{number}')!r}, 'w').close()\n"
        with zipfile.ZipFile(make_wheel(f"bdbench-x{number}", hooks=trace)) as archive:
            archive.extractall(site)
    code = (
        "import sys\nfrom bdbench.cli.main import run\n"
        "try:\n    run(['plugins', '--json', '--no-plugin', 'bdbench-x7'])\n"
        "finally:\n    print(*sorted(sys.modules), file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site), "BDBENCH_DISABLE_PLUGINS": "bdbench-x8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    found = [item for item in json.loads(done.stdout) if item["distribution"][:9] == "bdbench-x"]
    assert len(found) == 200
    assert {item["files"] for item in found} == {"intact"}
    left_out = {item["distribution"] for item in found if item["state"] == "disabled"}
    assert left_out == {"bdbench-x7", "bdbench-x8"}
    traces = {path.name for path in tmp_path.glob("trace-*")}
    assert traces == {f"trace-{number}" for number in range(200)} - {"trace-7", "trace-8"}
    heavy = {"torch", "numpy", "transformers", "datasets", "mlflow", "bdbench.host.install"}
    assert heavy & set(done.stderr.split()) == set()


# --- search and info -----------------------------------------------------------------------------


def test_search_finds_by_words_and_says_that_listing_is_not_endorsement(bdbench, registry):
    registry()

    done = bdbench("plugins", "search", "drops", "fake")

    assert done.code == 0
    assert "defense-fake  community  Drops words." in done.out
    assert NOTICE in done.err
    assert "no plugin of the registry" in bdbench("plugins", "search", "nothing-like-it").out


def test_search_finds_the_plugins_of_this_repository(bdbench):
    found = json.loads(bdbench("plugins", "search", "onion", "--json").out)

    assert [entry["name"] for entry in found] == ["defense-onion"]


def test_another_registry_can_be_named(bdbench, registry, monkeypatch):
    path = registry()
    monkeypatch.delenv("BDBENCH_REGISTRY")

    found = json.loads(bdbench("plugins", "search", "--registry", path, "--json").out)

    assert [entry["name"] for entry in found] == ["defense-fake"]


def test_info_tells_all_of_an_entry(bdbench, registry, unpack, make_wheel):
    wheel = make_wheel()
    registry(wheel, checked={"date": "2026-11-01", "host": "0.1.0", "result": "passed"})
    path = registry(wheel)

    text = bdbench("plugins", "info", "fake").out
    for words in ("https://example.org/fake", "MIT", "Doe (2026)", ">=1.0,<2", "not yet"):
        assert words in text
    assert f"wheel sha256 {read_wheel(wheel).sha256}" in text
    assert "installed: no" in text
    unpack(wheel)
    assert "installed: 1.0, files: pinned" in bdbench("plugins", "info", "fake").out
    found = json.loads(bdbench("plugins", "info", "fake", "--json").out)
    assert found["installed"]["files"] == "pinned"
    assert found["pin"] == yaml.safe_load(path.read_text("utf-8"))["plugins"][0]["pin"] | {
        "needs": []
    }


def test_info_recommends_no_install_that_would_be_refused(bdbench):
    """What this repository brings is on no index."""
    text = bdbench("plugins", "info", "bdbench-defense-onion").out

    assert "plugins install bdbench-defense-onion" not in text
    assert "installed: " in text


def test_info_of_a_near_miss_tells_the_name(bdbench, registry):
    registry()

    done = bdbench("plugins", "info", "defence-fake")

    assert (done.code, done.out) == (4, "")
    assert "Next: write 'defense-fake'" in done.err


# --- verify --------------------------------------------------------------------------------------


def test_verify_ends_with_4_when_a_file_is_not_as_installed(bdbench, registry, unpack, make_wheel):
    wheel = make_wheel()
    registry(wheel)
    package = unpack(wheel)

    assert bdbench("plugins", "verify").code == 0
    good = bdbench("plugins", "verify", "fake")
    assert bdbench("plugins", "verify", NAME.replace("-", "_").upper()).out == good.out
    (package / "hooks.py").write_text("x = 1\n", "utf-8")
    bad = bdbench("plugins", "verify", NAME)

    assert (good.code, good.out.split()) == (0, ["pinned", NAME, "1.0", "community"])
    assert bad.code == 4
    assert bad.out.startswith("changed ")
    assert "bdbench_defense_fake/hooks.py: RECORD has sha256 " in bad.out
    assert of(json.loads(bdbench("plugins", "verify", "--json").out))["files"] == "changed"
    assert "bdbench_defense_fake" not in sys.modules


def test_verify_of_what_is_not_installed_is_an_error(bdbench, registry):
    registry()

    done = bdbench("plugins", "verify", "fake")

    assert done.code == 4
    assert "no plugin of this name is installed" in done.err
