"""Real installations with pip and with uv, into an environment of their own, from a local folder.

The environment sees this one's packages, so that bdbench runs in it; what is installed lies in it
alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import machinery
from pathlib import Path

import pytest
import yaml

from bdbench.host.files import sha256_of
from bdbench.host.wheels import read_wheel

NAME = "bdbench-defense-fake"

CALL = """
import json, sys
from pathlib import Path
from bdbench.api import BdbenchError
from bdbench.host.install import install, uninstall
from bdbench.host.registry import load_registry
from bdbench.host.requests import Request

asked = json.loads(sys.argv[1])
registry = load_registry(Path(asked.pop("registry")))
try:
    if "remove" in asked:
        print(json.dumps(uninstall(asked["remove"], registry, lambda *_: True, asked["installer"])))
    else:
        asked["find_links"] = tuple(asked["find_links"])
        if asked.pop("between", False):
            import subprocess
            from bdbench.host import installers
            real = installers._run
            def run(*arguments):
                done = real(*arguments)
                subprocess.run([sys.executable, "-c", ""], check=True)
                return done
            installers._run = run
        done = install(Request(**asked), registry, lambda plan: True)
        print(json.dumps({"files": done.integrity, "version": done.version}))
except BdbenchError as error:
    print(json.dumps(error.to_dict()))
print(json.dumps(sorted(name for name in sys.modules if name.startswith("bdbench_defense_fake"))))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with pip."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    site = Path(done.stdout.strip())
    ours = sysconfig.get_path("purelib")
    (site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n", "utf-8")
    return python, site


@pytest.fixture(params=["pip", "uv"])
def installer(request):
    beside = str(Path(sys.executable).parent)
    if request.param == "uv" and not (shutil.which("uv") or shutil.which("uv", path=beside)):
        pytest.skip("uv is not here")
    return request.param


@pytest.fixture
def call(environment, installer, tmp_path):
    """Installs or removes in the environment; gives the result, and what was imported."""
    python, site = environment
    wheels = tmp_path / "wheels"
    wheels.mkdir(exist_ok=True)

    def call(**asked):
        asked = {"registry": str(tmp_path / "registry.yaml"), "installer": installer, **asked}
        if "remove" not in asked:
            asked = {"find_links": [str(wheels)], "no_index": True, **asked}
        path = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
        done = subprocess.run(
            [python, "-c", CALL, json.dumps(asked)],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result, imported = map(json.loads, done.stdout.splitlines())
        assert imported == []
        return result

    yield call
    for path in site.glob("bdbench_defense_fake*"):
        shutil.rmtree(path)


@pytest.fixture
def pin(tmp_path):
    """Writes a registry that pins a wheel."""

    def pin(wheel=None, **changes):
        found = read_wheel(wheel) if wheel else None
        pinned = {"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64]}
        if found:
            pinned |= {"sha256": [found.sha256], "files": [found.files]}
        entry = {
            "name": "defense-fake",
            "distribution": NAME,
            "tier": "community",
            "summary": "A fake.",
            "provides": ["defense:fake"],
            "license": "MIT",
            "api": ">=1.0,<2",
            "pin": pinned | changes,
        }
        text = yaml.safe_dump({"plugins": [entry]})
        (tmp_path / "registry.yaml").write_text(text, "utf-8")

    return pin


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
