"""Real installations with pip and with uv: what is installed, held against its pin, and removed."""

from __future__ import annotations

import hashlib

import pytest

from bdbench.host.wheels import read_wheel

NAME = "bdbench-defense-fake"


def contents(site):
    return sorted(path.name for path in site.glob("bdbench_defense_fake*"))


def test_a_listed_plugin_is_installed_replaced_and_removed(
    call, pin, make_wheel, environment, tmp_path
):
    _, site = environment
    script = "[bdbench]\ndefense-fake = bdbench_defense_fake.hooks\n"
    script += "[console_scripts]\nfake-command = bdbench_defense_fake.hooks:main\n"
    pin(make_wheel(requires=["bdbench>=0.1", "numpy"], entry_points=script))

    assert call(wanted="fake") == {"files": "pinned", "version": "1.0"}
    hooks = site / "bdbench_defense_fake" / "hooks.py"
    good = hooks.read_bytes()
    hooks.write_bytes(b"x = 1\n")
    # The same version once more, over what somebody changed.
    assert call(wanted="fake") == {"files": "pinned", "version": "1.0"}
    assert hooks.read_bytes() == good
    assert call(remove="fake") is True
    assert contents(site) == []


def test_a_wheel_with_one_changed_byte_is_refused_with_both_digests_and_not_imported(
    call, pin, make_wheel, environment, tmp_path
):
    trace = tmp_path / "imported"
    wheel = make_wheel(hooks=f"open({str(trace)!r}, 'w').close()\n#a")
    expected = read_wheel(wheel).sha256
    pin(wheel)
    # The archive is whole: only its contents are not those that were pinned.
    changed = make_wheel(hooks=f"open({str(trace)!r}, 'w').close()\n#b")

    error = call(wanted="fake")

    assert error["type"] == "PluginError"
    assert error["what"] == "the wheel is not the one that is pinned, and was not installed"
    assert error["found"] == f"sha256 {read_wheel(changed).sha256}"
    assert error["expected"] == expected
    assert contents(environment[1]) == []
    assert not trace.exists()


def test_files_that_are_not_those_of_the_pin_are_refused(call, pin, make_wheel, environment):
    wheel = make_wheel()
    pin(wheel, files=["c" * 64])

    error = call(wanted="fake")

    assert error["what"] == "its files are not those that are pinned, and were not installed"
    assert error["found"] == read_wheel(wheel).files
    assert error["expected"] == "c" * 64
    assert contents(environment[1]) == []


def test_what_is_not_there_changes_nothing(call, pin, environment):
    pin()

    error = call(wanted="fake")

    assert "did not install it; nothing was changed" in error["what"]
    assert contents(environment[1]) == []


def test_versions_are_compared_as_versions(call, pin, make_wheel):
    make_wheel("bdbench-defense-fake-two")
    pin(make_wheel(), version="1.0.0")

    assert call(wanted="bdbench-defense-fake-two==1", unlisted=True)["version"] == "1.0"
    assert call(wanted="fake==1") == {"files": "pinned", "version": "1.0"}


def test_what_is_not_what_was_looked_at_is_removed_again(
    call, pin, make_wheel, environment, tmp_path
):
    """Whatever changes the files meanwhile: here a module that every Python of it imports."""
    _, site = environment
    change = site / "changes.pth"
    file = site / "bdbench_defense_fake" / "more.py"
    code = f"import pathlib; p = pathlib.Path({str(file)!r}); p.parent.is_dir() and p.touch()"
    pin(make_wheel())
    change.write_text(f"{code}\n", "utf-8")
    try:
        # The last installer's Python has ended before what it wrote is looked at: a next one.
        error = call(wanted="fake", between=True)
    finally:
        change.unlink()

    assert error["what"] == "what was installed is not what was looked at, and was removed again"
    assert not list(site.glob("bdbench_defense_fake-*"))


def test_nothing_of_the_folder_where_the_user_is_runs(call, pin, make_wheel, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    trace = tmp_path / "ran"
    (folder / "pip.py").write_text(f"open({str(trace)!r}, 'w').close()\n", "utf-8")
    monkeypatch.chdir(folder)
    pin(make_wheel())

    assert call(wanted="fake")["files"] == "pinned"
    assert call(remove="fake") is True
    assert not trace.exists()


def test_what_is_no_plugin_is_refused(call, pin, make_wheel, environment):
    pin(make_wheel(entry_points="[console_scripts]\nx = a.b:c\n"))

    assert "not a plugin of bdbench" in call(wanted="fake")["what"]
    assert contents(environment[1]) == []


def test_an_unlisted_plugin_is_installed_when_that_is_said(call, pin, make_wheel):
    make_wheel("bdbench-defense-fake-two", hooks="")
    pin()

    done = call(wanted="bdbench-defense-fake-two==1.0", unlisted=True)

    assert done == {"files": "intact", "version": "1.0"}


def test_a_wheel_on_this_machine_is_held_against_the_pin(call, pin, make_wheel):
    wheel = make_wheel()
    pin(wheel)

    assert call(wanted=str(wheel), editable=True) == {"files": "pinned", "version": "1.0"}


def test_what_a_plugin_needs_is_installed_with_it_from_its_own_pin(
    call, pin, make_wheel, environment
):
    needed = make_wheel("bdbench-defense-fake-words", "3.0", entry_points="")
    need = {
        "distribution": "bdbench-defense-fake-words",
        "version": "3.0",
        "sha256": [read_wheel(needed).sha256],
    }
    pin(make_wheel(requires=["bdbench-defense-fake-words>=3"]), needs=[need])

    assert call(wanted="fake") == {"files": "pinned", "version": "1.0"}
    assert "bdbench_defense_fake_words" in contents(environment[1])


def test_a_plugin_that_others_need_is_not_removed(call, pin, make_wheel):
    pin(make_wheel())
    call(wanted="fake")
    make_wheel("bdbench-defense-fake-two", requires=[NAME])
    call(wanted="bdbench-defense-fake-two==1.0", unlisted=True)

    error = call(remove="fake")

    assert (error["what"], error["found"]) == ("other packages need it", "bdbench-defense-fake-two")


@pytest.mark.parametrize("place", ["data", "list", "end"])
def test_a_wheel_with_a_damaged_archive_is_refused_with_both_digests(
    call, pin, make_wheel, environment, place
):
    wheel = make_wheel()
    pin(wheel)
    good = read_wheel(wheel).sha256
    data = bytearray(wheel.read_bytes())
    index = {"data": data.index(b"A fake."), "list": data.index(b"PK\1\2") + 42, "end": -3}
    data[index[place]] ^= 1
    wheel.write_bytes(data)

    # uv unpacks while it reads, and meets the damage before the digest.
    by_name, by_path = call(wanted="fake"), call(wanted=str(wheel), editable=True)

    for error in (by_name, by_path):
        assert error["found"].endswith(hashlib.sha256(data).hexdigest())
        assert error["expected"] == good
    assert "was not installed" in by_name["what"]
    assert contents(environment[1]) == []
