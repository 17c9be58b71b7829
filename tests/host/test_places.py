"""What a wheel may write where: what is free, and what an older version of it has brought."""

from __future__ import annotations

import pytest

from bdbench.api import PluginError
from bdbench.host.places import check_places
from bdbench.host.wheels import read_wheel

NAME = "bdbench-defense-fake"
PACKAGE = "bdbench_defense_fake"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An editable installation whose entry points name its own module and one of others."""
    sources = tmp_path / "sources"
    (sources / "src" / PACKAGE).mkdir(parents=True)
    (sources / "src" / PACKAGE / "__init__.py").touch()
    info = tmp_path / "site" / f"{PACKAGE}-0.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 0.9\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[bdbench]\na = {PACKAGE}.hooks\nb = six\n", "utf-8")
    (info / "top_level.txt").write_text(f"{PACKAGE}\nsix\n", "utf-8")
    (info / "RECORD").write_text(f"{info.name}/METADATA,,\n", "utf-8")
    (info / "direct_url.json").write_text(
        f'{{"url": "{sources.as_uri()}", "dir_info": {{"editable": true}}}}', "utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(sources / "src")


def refused(wheel):
    with pytest.raises(PluginError) as caught:
        check_places(read_wheel(wheel))
    return caught.value.found


@pytest.mark.usefixtures("checkout")
def test_a_checkout_gives_way_to_a_wheel_with_what_is_its_own(make_wheel):
    check_places(read_wheel(make_wheel()))


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("name", ["six.py", "six/__init__.py"])
def test_what_a_checkout_says_of_itself_makes_nothing_its_own(make_wheel, name):
    assert refused(make_wheel(files={name: ""})) == name.partition("/")[0]


def test_libraries_that_its_own_modules_were_linked_with_may_come_along(make_wheel):
    check_places(read_wheel(make_wheel(files={f"{PACKAGE}.libs/libx.so": ""})))

    assert refused(make_wheel(files={"numpy.libs/libx.so": ""})) == "numpy.libs"


def test_a_module_of_its_own_with_a_free_name_may_come_along(make_wheel):
    check_places(read_wheel(make_wheel(files={f"{PACKAGE}_more.py": "", "a_free_name/a.txt": ""})))


@pytest.mark.parametrize("command", ["bdbench", "python", "ls"])
def test_a_command_that_is_there_is_not_taken_wherever_it_lies(make_wheel, command):
    points = (
        f"[bdbench]\na = {PACKAGE}.hooks\n[console_scripts]\n{command} = {PACKAGE}.hooks:main\n"
    )

    assert refused(make_wheel(entry_points=points)) == f"bin/{command}"
