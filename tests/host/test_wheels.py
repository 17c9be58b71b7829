"""Wheels that are refused as soon as they are read."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from bdbench.api import InputError
from bdbench.host.wheels import read_wheel


def refuse(path, words):
    with pytest.raises(InputError) as caught:
        read_wheel(path)
    assert words in str(caught.value)


def test_a_file_that_is_no_wheel_is_refused(tmp_path):
    path = tmp_path / "bdbench_x-1.0-py3-none-any.whl"
    path.write_bytes(b"no wheel")
    refuse(path, "the wheel cannot be read")
    refuse(tmp_path / "bdbench_y-1.0-py3-none-any.whl", "No such file")


def test_a_file_that_is_not_named_as_a_wheel_is_refused(make_wheel, tmp_path):
    refuse(shutil.copy(make_wheel(), tmp_path / "plugin.whl"), "the wheel cannot be read")


def test_a_wheel_that_describes_another_distribution_is_refused(make_wheel):
    wheel = make_wheel(files={"six-9.0.dist-info/METADATA": "Name: six\n"})

    refuse(wheel, "metadata of several: bdbench_defense_fake-1.0.dist-info, six-9.0.dist-info")


@pytest.mark.parametrize("name", ["a.pyc", "a/__pycache__/b.pyc", "a.PYO"])
def test_a_wheel_with_compiled_code_is_refused(make_wheel, name):
    refuse(make_wheel(files={name: ""}), "the wheel holds compiled code")


@pytest.mark.parametrize(
    "lines",
    [
        "[console_scripts]\nmine = a:b\n  python = a:b",
        "[console_scripts]\n\tpython = a:b",
        "[ console_scripts ]\npython = a:b",
        "[console_scripts]\n;python = a:b",
        "[console_scripts] ; more\npython = a:b",
        "[console_scripts]\nmine = a:b\x0bpython = a:b",
        "[console_scripts]\nmine = a:b\rpython = a:b",
    ],
)
def test_entry_points_that_installers_may_read_otherwise_are_refused(make_wheel, lines):
    points = f"[bdbench]\na = bdbench_defense_fake.hooks\n{lines}\n"

    refuse(make_wheel(entry_points=points), "entry_points.txt has the line ")


def test_a_wheel_whose_files_are_not_those_that_it_records_is_refused(make_wheel):
    wheel = make_wheel()
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more.py", "")
    refuse(wheel, "more.py: RECORD does not know it")


def test_a_file_that_a_wheel_holds_twice_is_refused(make_wheel):
    wheel = make_wheel()
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("bdbench_defense_fake/hooks.py", "evil")
    refuse(wheel, "bdbench_defense_fake/hooks.py twice")


def test_a_wheel_of_another_name_is_refused(make_wheel, tmp_path):
    other = shutil.copy(make_wheel(), tmp_path / "bdbench_other-1.0-py3-none-any.whl")
    refuse(Path(other), "its metadata name bdbench-defense-fake")


@pytest.mark.parametrize("name", ["bdbench_defense_fake-1.0.data/data/x", "../x.py", "/x.py"])
def test_a_wheel_that_writes_elsewhere_is_refused(make_wheel, name):
    refuse(make_wheel(files={name: ""}), "the wheel puts files elsewhere")


def test_a_wheel_with_a_damaged_byte_is_refused(make_wheel):
    path = make_wheel()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"A fake.", b"a fake."))
    refuse(path, "the wheel cannot be read")
