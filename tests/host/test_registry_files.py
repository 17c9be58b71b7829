"""Wheels and installed files: one digest, and every way in which they may not be as they were."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from bdbench.api import PluginError
from bdbench.host.registry import Registry
from bdbench.host.verify import Integrity, require_pinned, verify
from bdbench.host.wheels import read_wheel

ROOT = Path(__file__).parents[2]
NAME = "bdbench-defense-fake"
EMPTY = Registry(plugins=[])


@pytest.fixture
def unpack(tmp_path, monkeypatch):
    """Puts a wheel's files where Python finds them, as an installer does."""

    def unpack(wheel):
        site = tmp_path / "site"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        monkeypatch.syspath_prepend(site)
        return site

    return unpack


@pytest.fixture
def installed(make_wheel, unpack):
    """An unpacked wheel: where, and the wheel as read."""
    wheel = make_wheel()
    return unpack(wheel), read_wheel(wheel)


def look(registry=EMPTY):
    return verify(metadata.distribution(NAME), registry)


def pinning(wheel, **changes):
    """A registry that pins a wheel."""
    pin = {"version": wheel.version, "sha256": [wheel.sha256], "files": [wheel.files], **changes}
    entry = {
        "name": "defense-fake",
        "distribution": wheel.distribution,
        "tier": "community",
        "summary": "A fake.",
        "provides": ["defense:fake"],
        "license": "MIT",
        "api": ">=1.0,<2",
        "pin": pin,
    }
    return Registry.model_validate({"plugins": [entry]})


def test_a_wheel_is_read(make_wheel):
    wheel = read_wheel(make_wheel(requires=["bdbench>=0.1", "numpy"]))

    assert (wheel.distribution, wheel.version) == (NAME, "1.0")
    assert wheel.requires == ("bdbench>=0.1", "numpy")
    assert wheel.groups == {"bdbench"}


def test_the_digest_of_files_is_that_of_what_python_would_import(make_wheel, tmp_path):
    def digest(folder, **options):
        (tmp_path / folder).mkdir()
        return read_wheel(make_wheel(folder=tmp_path / folder, **options)).files

    first = digest("a")
    assert digest("b", requires=["numpy"]) == first
    assert digest("c", hooks="x = 1\n") != first
    assert digest("d", files={"bdbench_defense_fake/more.py": ""}) != first
    assert digest("e", entry_points="[bdbench]\nx = bdbench_defense_fake.other\n") != first


def test_what_was_installed_from_a_wheel_has_its_digest(installed):
    _, wheel = installed

    result = look()

    assert (result.integrity, result.details) == (Integrity.INTACT, ())
    assert result.files == wheel.files


def test_the_pinned_files_are_told(installed):
    assert look(pinning(installed[1])).integrity is Integrity.PINNED


def test_another_version_than_the_pinned_one_is_told(installed):
    result = look(pinning(installed[1], version="2.0"))

    assert result.integrity is Integrity.OTHER_VERSION
    assert result.details == ("the registry pins 2.0",)


def test_other_files_than_the_pinned_ones_are_told_with_both_digests(installed):
    _, wheel = installed

    result = look(pinning(wheel, files=["c" * 64]))

    assert result.integrity is Integrity.DIFFERENT
    assert wheel.files in result.details[0]
    assert "c" * 64 in result.details[0]


def test_one_changed_byte_is_told_with_both_digests(installed):
    site, wheel = installed
    hooks = site / "bdbench_defense_fake" / "hooks.py"
    before = look().files
    hooks.write_bytes(hooks.read_bytes().replace(b"A fake.", b"a fake."))

    result = look(pinning(wheel))

    assert result.integrity is Integrity.CHANGED
    (detail,) = result.details
    assert detail.startswith("bdbench_defense_fake/hooks.py: RECORD has sha256 ")
    assert result.files != before


def record_of(site):
    return next(site.glob("*.dist-info")) / "RECORD"


def test_a_changed_record_does_not_hide_a_changed_file(installed):
    from hashlib import sha256

    site, wheel = installed
    hooks = site / "bdbench_defense_fake" / "hooks.py"
    old = hooks.read_bytes()
    new = old.replace(b"A fake.", b"a fake.")
    hooks.write_bytes(new)
    import base64

    def encoded(data):
        return base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()

    record = record_of(site)
    record.write_text(record.read_text("utf-8").replace(encoded(old), encoded(new)), "utf-8")

    assert look().integrity is Integrity.INTACT
    assert look(pinning(wheel)).integrity is Integrity.DIFFERENT


def test_a_file_without_a_digest_is_told(installed):
    site, _ = installed
    record = record_of(site)
    lines = [
        "bdbench_defense_fake/hooks.py,," if "hooks.py" in line else line
        for line in record.read_text("utf-8").splitlines()
    ]
    record.write_text("\n".join(lines), "utf-8")

    assert look().details == ("bdbench_defense_fake/hooks.py: RECORD has no digest of it",)


def test_a_lost_and_a_strange_file_are_told(installed):
    site, _ = installed
    package = site / "bdbench_defense_fake"
    (package / "hooks.py").unlink()
    (package / "evil.py").touch()
    (package / "sub").mkdir()
    # Python imports it where there is no source.
    (package / "sub" / "evil.pyc").touch()

    result = look()

    assert result.integrity is Integrity.CHANGED
    assert result.details == (
        "bdbench_defense_fake/hooks.py: it is gone",
        "bdbench_defense_fake/evil.py: RECORD does not know it",
        "bdbench_defense_fake/sub/evil.pyc: RECORD does not know it",
    )


def test_a_strange_file_is_told_where_there_is_no_init(make_wheel, unpack):
    """Python imports from a folder without one, too; such a folder may be that of several."""
    wheel = make_wheel()
    site = unpack(wheel)
    package = site / "bdbench_defense_fake"
    (package / "__init__.py").unlink()
    kept = [
        line for line in record_of(site).read_text("utf-8").splitlines() if "__init__" not in line
    ]
    record_of(site).write_text("\n".join(kept), "utf-8")
    (package / "other.py").touch()
    info = site / "another-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: another\nVersion: 1.0\n", "utf-8")
    (info / "RECORD").write_text("bdbench_defense_fake/other.py,,\n", "utf-8")

    assert look().integrity is Integrity.INTACT
    (package / "evil.py").touch()
    assert look().details == ("bdbench_defense_fake/evil.py: RECORD does not know it",)


def test_what_python_compiles_is_no_change(installed):
    site, _ = installed
    cache = site / "bdbench_defense_fake" / "__pycache__"
    cache.mkdir()
    (cache / "hooks.cpython-311.pyc").touch()

    assert look().integrity is Integrity.INTACT


def test_a_record_does_not_lead_out_of_the_environment(installed, tmp_path):
    site, _ = installed
    (tmp_path / "secret").write_text("x", "utf-8")
    with record_of(site).open("a", encoding="utf-8") as file:
        file.write("\n../secret,sha256=AAAA,1\n/dev/zero,sha256=AAAA,1\n")

    assert look().integrity is Integrity.INTACT


@pytest.mark.parametrize(
    "row",
    [
        "../../../lib/python3.11/site-packages/evil.pth,sha256=AAAA,1",
        "../../../bin/bdbench,sha256=AAAA,1",
        "/etc/evil,sha256=AAAA,1",
    ],
)
def test_what_lies_elsewhere_counts(installed, row):
    site, wheel = installed
    with record_of(site).open("a", encoding="utf-8") as file:
        file.write(f"\n{row}\n")

    assert look(pinning(wheel)).integrity is Integrity.DIFFERENT


@pytest.mark.parametrize(
    "name",
    [
        "bdbench_defense_fake/__pycache__/hooks.cpython-311.pyc",
        "sitecustomize.pyc",
        "six-9.0.dist-info/METADATA",
    ],
)
def test_what_was_installed_besides_counts(installed, name):
    """Compiled code that came with the files, and what describes another distribution."""
    site, wheel = installed
    record = record_of(site)
    (site / name).parent.mkdir(exist_ok=True)
    (site / name).write_bytes(b"x")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).rstrip(b"=").decode()
    with record.open("a", encoding="utf-8") as file:
        file.write(f"\n{name},sha256={digest},1\n")

    assert look().integrity is Integrity.INTACT
    assert look(pinning(wheel)).integrity is Integrity.DIFFERENT


def test_compiled_code_that_nobody_compiled_here_needs_a_digest(installed):
    site, _ = installed
    (site / "sitecustomize.pyc").touch()
    with record_of(site).open("a", encoding="utf-8") as file:
        file.write("\nsitecustomize.pyc,,\n")

    assert look().details == ("sitecustomize.pyc: RECORD has no digest of it",)


def test_the_distributions_own_commands_are_passed_over(make_wheel, unpack):
    points = "[bdbench]\ndefense-fake = bdbench_defense_fake.hooks\n"
    points += "[console_scripts]\nfake-command = bdbench_defense_fake.hooks:main\n"
    wheel = make_wheel(entry_points=points)
    site = unpack(wheel)
    with record_of(site).open("a", encoding="utf-8") as file:
        file.write("\n../../../bin/fake-command,sha256=AAAA,1\n")

    assert look(pinning(read_wheel(wheel))).integrity is Integrity.PINNED


@pytest.mark.parametrize(("version", "pinned"), [("1.0", "1.0.0"), ("1.0.0", "1")])
def test_versions_are_no_texts(make_wheel, unpack, version, pinned):
    wheel = make_wheel(version=version)
    unpack(wheel)

    assert look(pinning(read_wheel(wheel), version=pinned)).integrity is Integrity.PINNED


def test_without_a_record_nothing_is_known(installed):
    record_of(installed[0]).unlink()

    assert look().integrity is Integrity.UNRECORDED


def test_sources_are_told_as_such(installed):
    site, wheel = installed
    origin = next(site.glob("*.dist-info")) / "direct_url.json"
    origin.write_text('{"url": "file:///a%20b", "dir_info": {"editable": true}}', "utf-8")

    result = look(pinning(wheel))

    assert (result.integrity, result.details) == (Integrity.EDITABLE, ("sources in /a b",))


def test_nothing_is_imported_to_look_at_files(make_wheel, unpack, tmp_path):
    trace = tmp_path / "imported"
    unpack(make_wheel(hooks=f"open({str(trace)!r}, 'w').close()\n"))

    assert look().integrity is Integrity.INTACT
    assert not trace.exists()


# --- demanding pins ------------------------------------------------------------------------------


def test_pinned_plugins_are_let_through(installed):
    require_pinned({NAME, "bdbench"}, pinning(installed[1]), where="suite.yaml")


def test_what_is_not_pinned_is_refused_by_name_and_reason(installed):
    with pytest.raises(PluginError) as caught:
        require_pinned({NAME}, EMPTY, where="suite.yaml:3: plugins")

    assert caught.value.where == "suite.yaml:3: plugins"
    assert caught.value.found == f"{NAME} 1.0 (not in the registry)"


def test_a_changed_plugin_is_refused_with_both_digests(installed):
    site, wheel = installed
    (site / "bdbench_defense_fake" / "__init__.py").write_text("x = 1\n", "utf-8")

    with pytest.raises(PluginError) as caught:
        require_pinned({NAME}, pinning(wheel), where="")

    assert "changed; bdbench_defense_fake/__init__.py: RECORD has sha256 e3b0c442" in (
        caught.value.found
    )
    assert ", found sha256 " in caught.value.found


def test_a_plugin_that_nobody_installed_is_refused():
    with pytest.raises(PluginError, match="bdbench-ghost"):
        require_pinned({"bdbench-ghost"}, EMPTY, where="")


# --- the wheels of this repository ---------------------------------------------------------------


def build(source, folder, out, monkeypatch):
    from hatchling.builders.wheel import WheelBuilder

    copy = folder / source.name
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for index, path in enumerate(sorted(copy.rglob("*"))):
        os.utime(path, (1_600_000_000 + len(str(folder)) * 1000 + index,) * 2)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (built,) = WheelBuilder(str(copy)).build(directory=str(out), versions=["standard"])
    return read_wheel(Path(built))


def test_a_wheel_built_twice_is_the_same_and_has_the_pinned_files(tmp_path, monkeypatch):
    pytest.importorskip("hatchling", reason="builds a wheel")
    source = ROOT / "plugins" / "bdbench-defense-onion"
    first = build(source, tmp_path / "a", tmp_path / "out-1", monkeypatch)
    second = build(source, tmp_path / "another", tmp_path / "out-2", monkeypatch)

    assert first.sha256 == second.sha256
    registry = yaml.safe_load((ROOT / "registry.yaml").read_text("utf-8"))["plugins"]
    (entry,) = (item for item in registry if item["distribution"] == source.name)
    assert entry["pin"]["files"] == [first.files]
