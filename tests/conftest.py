"""What tests of several floors share."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile

import pytest

from bdbench.host.catalog import Host
from bdbench.host.plugins import discover


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path_factory):
    """No test reads or writes what belongs to whoever runs it."""
    monkeypatch.setenv("BDBENCH_HOME", str(tmp_path_factory.getbasetemp() / "no-home"))
    for name in (
        "BDBENCH_DISABLE_PLUGINS",
        "BDBENCH_REGISTRY",
        "MLFLOW_TRACKING_URI",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def toy_host():
    """The built-in components and the toy plugin, whatever else is installed; no observers."""
    ours = {f"bdbench:{name}" for name in ("builtin", "executors", "presets", "reporters")}
    wanted = ours | {"bdbench-toy:toy"}
    return Host(item for item in discover() if item[0].id in wanted)


PLUGIN_HOOKS = """
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(name="fake", target="nowhere:Thing", summary="A fake.",
                        stages=frozenset({DefenseStage.SCREEN}))]
"""


@pytest.fixture
def make_wheel(tmp_path):
    """Builds the wheel of a plugin, always the same from the same arguments."""
    packages = set()

    def make_wheel(
        distribution="bdbench-defense-fake",
        version="1.0",
        *,
        folder=None,
        hooks=PLUGIN_HOOKS,
        files=None,
        requires=(),
        entry_points=None,
    ):
        package = distribution.replace("-", "_")
        packages.add(package)
        folder = folder or tmp_path / "wheels"
        folder.mkdir(exist_ok=True)
        info = f"{package}-{version}.dist-info"
        metadata = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
        short = distribution.removeprefix("bdbench-")
        if entry_points is None:
            entry_points = f"[bdbench]\n{short} = {package}.hooks\n"
        contents = {
            f"{package}/__init__.py": "",
            f"{package}/hooks.py": hooks,
            **(files or {}),
            f"{info}/METADATA": "\n".join([*metadata, "", ""]),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
            f"{info}/entry_points.txt": entry_points,
        }
        rows = [f"{name},{record_digest(text)},{len(text)}" for name, text in contents.items()]
        contents[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
        path = folder / f"{package}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in contents.items():
                archive.writestr(zipfile.ZipInfo(name), text)
        return path

    yield make_wheel
    # What a test imported of one is not what the next one imports.
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


def record_digest(text):
    """A digest as a wheel's RECORD writes it."""
    raw = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"
