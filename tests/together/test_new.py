"""What `bdbench new` wrote, installed as its author would: style, types, tests, checks."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from bdbench.host.scaffold.naming import KINDS, LONGEST, names_for
from bdbench.host.scaffold.writing import write

ROOT = Path(__file__).parents[2]
NAMES = {"short": "x", "usual": "rare-words", "long": "a-name-that-is-as-long-x"}


@pytest.fixture(scope="module")
def written(workbench, tmp_path_factory):
    """One package of each kind, installed."""
    folder = tmp_path_factory.mktemp("written")
    for kind in KINDS:
        workbench.run(f"bdbench new {kind} rare-words", folder)
    workbench.run(
        "pip install --quiet " + " ".join(f"-e ./{path.name}" for path in folder.iterdir()), folder
    )
    return folder


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_style_by_their_own_settings_and_by_ours(workbench, tmp_path, name):
    assert len(NAMES["long"]) == LONGEST
    # Where plugins lie in this repository: what is first-party is told by the place.
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    shutil.copy(ROOT / "ruff.toml", tmp_path)
    for kind in KINDS:
        package = write(names_for(kind, name), plugins)
        workbench.run("ruff check --no-cache . && ruff format --no-cache --check .", package)
    workbench.run("ruff check --no-cache --config ruff.toml plugins", tmp_path)
    workbench.run("ruff format --no-cache --check --config ruff.toml plugins", tmp_path)


def test_types(workbench, written):
    # All at once: reading torch's types takes longer than reading ours.
    sources = " ".join(f"{path.name}/src" for path in sorted(written.iterdir()))
    settings = "bdbench-attack-rare-words/pyproject.toml"
    done = workbench.run(f"mypy --config-file {settings} --cache-dir .mypy {sources}", written)
    assert done.startswith("Success: no issues found in 21 source files")


@pytest.mark.parametrize("kind", KINDS)
def test_its_tests_pass(workbench, written, kind):
    done = workbench.run("pytest -q", written / f"bdbench-{kind}-rare-words")
    assert re.fullmatch(r"\d+ passed in .*", done.splitlines()[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_checks_pass(workbench, written, kind):
    workbench.run(f"bdbench check bdbench-{kind}-rare-words", written)


@pytest.mark.parametrize("kind", KINDS)
def test_its_wheel_is_complete(workbench, written, kind):
    names = names_for(kind, "rare-words")
    package = written / names.distribution
    workbench.run("python -m hatchling build -t wheel", package)
    (wheel,) = package.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as files:
        found = set(files.namelist())
        info = f"{names.package}-0.1.0.dist-info"
        entry = files.read(f"{info}/entry_points.txt").decode()
    sources = {path.relative_to(package / "src").as_posix() for path in package.glob("src/*/*.*")}
    assert {name for name in found if not name.startswith(info)} == sources
    assert f"{names.package}/py.typed" in found
    assert f"{info}/licenses/LICENSE" in found
    assert entry == f"[bdbench]\n{names.short} = {names.package}.hooks\n"


def test_the_host_finds_them_all(workbench, written):
    plugins = json.loads(workbench.run("bdbench plugins --json", written))
    found = {item["distribution"]: item["state"] for item in plugins}
    assert {found[f"bdbench-{kind}-rare-words"] for kind in KINDS} == {"ok"}


@pytest.mark.parametrize("kind", KINDS)
def test_its_suite_can_be_planned_and_every_cell_can_run(workbench, written, kind):
    package = written / f"bdbench-{kind}-rare-words"
    plan = json.loads(workbench.run("bdbench run --plan --json suite.yaml", package))
    cells = plan["cells"]
    assert cells
    assert not [cell for cell in cells if cell.get("reason")]
