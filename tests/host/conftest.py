"""Fake distributions, found by real discovery."""

from __future__ import annotations

import importlib
import itertools
import sys

import pytest

from bdbench.host.catalog import Host
from bdbench.host.plugins import discover


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a distribution on the path: a package with hooks.py, and its dist-info.

    Each has a folder of its own, put in front of the path, so that the last one installed is
    the first one found.
    """
    folders = itertools.count()
    packages = []

    def install(distribution, hooks, *, version="1.0", **modules):
        folder = tmp_path / f"site-{next(folders)}"
        package = distribution.replace("-", "_")
        packages.append(package)
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
        for name, source in {"hooks": hooks, **modules}.items():
            (folder / package / f"{name}.py").write_text(source, "utf-8")
        info = folder / f"{package}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", "utf-8"
        )
        (info / "entry_points.txt").write_text(
            f"[bdbench]\n{distribution}-hooks = {package}.hooks\n", "utf-8"
        )
        monkeypatch.syspath_prepend(folder)
        return folder / package

    yield install
    for name in list(sys.modules):
        if name.partition(".")[0] in packages:
            del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def host_of():
    """A host that knows some distributions only, by real discovery."""

    def host_of(*distributions, disabled=()):
        found = [item for item in discover() if item[0].distribution in distributions]
        return Host(found, disabled)

    return host_of


@pytest.fixture
def defense_hooks():
    """The source of a hooks.py that registers one defense."""

    def defense_hooks(name, target="nowhere:Thing", extra=""):
        return f"""
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(name={name!r}, target={target!r}, summary="A fake.", {extra})]
"""

    return defense_hooks
