"""What a real pip and a real uv do not get to install, whatever the wheel holds."""

from __future__ import annotations

import sys
import zipfile
from importlib import machinery

import pytest

from bdbench.host.files import sha256_of

NAME = "bdbench-defense-fake"


def contents(site):
    return sorted(path.name for path in site.glob("bdbench_defense_fake*"))


@pytest.mark.parametrize("requirement", ["bdbench>=99", "a-package-of-nobody", "torch==0.1"])
def test_requirements_that_do_not_hold_leave_everything_as_it_was(
    call, pin, make_wheel, environment, requirement
):
    pin(make_wheel(requires=[requirement]))

    error = call(wanted="fake")

    assert error["what"] == "what this plugin requires is not here, and is not installed with it"
    assert error["found"].startswith(requirement)
    assert contents(environment[1]) == []


@pytest.mark.parametrize(
    "name",
    [
        *("bdbench/evil.py", "torch/evil.py", "evil.pth", "json.py", "yaml/__init__.py"),
        *("sitecustomize.py", "usercustomize/__init__.py", "SiteCustomize.py", "numpy.libs/x.so"),
        *(f"six{suffix}" for suffix in machinery.EXTENSION_SUFFIXES),
        *("__main__.py", "README.txt", "pip/evil.py"),
    ],
)
def test_a_wheel_that_writes_where_others_are_is_refused(call, pin, make_wheel, environment, name):
    _, site = environment
    pin(make_wheel(files={name: ""}))

    error = call(wanted="fake")

    assert error["what"] == "it would write where others are, and was not installed"
    assert error["found"] == name.partition("/")[0]
    assert not (site / name).exists()
    assert contents(site) == []


ELSEWHERE = {
    "start": "{info}.data/data/lib/python{version}/site-packages/evil.pth",
    "package": "{info}.data/data/lib/python{version}/site-packages/yaml/__init__.py",
    "library": "{info}.data/purelib/yaml/__init__.py",
    "command": "{info}.data/scripts/bdbench",
}


@pytest.fixture
def unchanged(environment):
    """Holds that nothing is added to the environment, or taken away."""
    python, site = environment

    def here():
        return sorted([*python.parent.iterdir(), *site.iterdir(), *site.glob("*/bin/*")])

    before = here()
    yield
    assert here() == before


LISTED = ("fake", NAME)
UNLISTED = ("bdbench-defense-fake-two==1.0", "bdbench-defense-fake-two")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("wanted", "distribution"), [LISTED, UNLISTED])
@pytest.mark.parametrize("name", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_wheel_that_writes_elsewhere_is_refused_on_every_route(
    call, pin, make_wheel, name, wanted, distribution
):
    info = f"{distribution.replace('-', '_')}-1.0"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = name.format(info=info, version=version)
    wheel = make_wheel(distribution, files={name: "raise SystemExit\n"})
    pin(sha256=[sha256_of(wheel)])

    by_name = call(wanted=wanted, unlisted=True)
    by_path = call(wanted=str(wheel), editable=True)

    for error in (by_name, by_path):
        assert error["what"] == "the wheel puts files elsewhere than beside other packages"
        assert error["found"] == name


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("wanted", "distribution"), [LISTED, UNLISTED])
@pytest.mark.parametrize(
    "name", ["sitecustomize.pyc", "{package}/__pycache__/hooks.cpython-311.pyc", "{package}/a.PYC"]
)
def test_a_wheel_with_compiled_code_is_refused_on_every_route(
    call, pin, make_wheel, name, wanted, distribution
):
    name = name.format(package=distribution.replace("-", "_"))
    wheel = make_wheel(distribution, files={name: "x"})
    pin(sha256=[sha256_of(wheel)])

    by_name = call(wanted=wanted, unlisted=True)
    by_path = call(wanted=str(wheel), editable=True)

    for error in (by_name, by_path):
        assert "the wheel holds compiled code" in error["what"]
        assert error["found"] == name


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("command", ["python", "activate", "pip", "env", "../evil", "-x"])
def test_a_wheel_that_takes_a_command_of_others_is_refused(call, pin, make_wheel, command):
    points = "[bdbench]\ndefense-fake = bdbench_defense_fake.hooks\n"
    points += f"[console_scripts]\n{command} = bdbench_defense_fake.hooks:main\n"
    pin(make_wheel(entry_points=points))

    error = call(wanted="fake")

    # uv refuses some names itself, when it would write them.
    if "uv did not install it" not in error["what"]:
        assert error["what"] == "it would write where others are, and was not installed"
        assert error["found"] == f"bin/{command}"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("value", ["bdbench.suite.presets.hooks", "six", "bdbench_defense.hooks"])
def test_a_wheel_whose_entry_point_leads_to_others_is_refused(call, pin, make_wheel, value):
    points = f"[bdbench]\ndefense-fake = bdbench_defense_fake.hooks\nz = {value}\n"
    pin(make_wheel(entry_points=points))

    error = call(wanted="fake")

    assert error["what"] == "its entry points name what is not its own, and it was not installed"
    assert error["found"] == f"z = {value}"


def test_what_an_older_version_said_of_itself_gives_it_nothing(call, pin, make_wheel, environment):
    """Installed by other means, with an entry point and a top level of somebody else's."""
    _, site = environment
    old = make_wheel(
        entry_points="[bdbench]\nz = yaml\n",
        files={"bdbench_defense_fake-1.0.dist-info/top_level.txt": "yaml\n"},
    )
    with zipfile.ZipFile(old) as archive:
        archive.extractall(site)
    pin(make_wheel(version="1.1", files={"yaml.py": ""}), version="1.1")

    error = call(wanted="fake")

    assert (error["found"], (site / "yaml.py").exists()) == ("yaml.py", False)


@pytest.mark.usefixtures("unchanged")
def test_files_of_a_wheel_that_it_does_not_record_are_refused(call, pin, make_wheel):
    wheel = make_wheel("bdbench-defense-fake-two")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("bdbench_defense_fake_two/more.py", "")
    pin()

    error = call(wanted="bdbench-defense-fake-two==1.0", unlisted=True)

    assert error["what"] == "the wheel's files are not those that it records"
    # uv adds a row without a digest when it unpacks.
    assert error["found"].startswith("bdbench_defense_fake_two/more.py: RECORD ")
