"""The house has floors: a file imports only from floors below its own, or from its own."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import bdbench

ROOT = Path(bdbench.__file__).parent

FLOORS = (
    "api",
    "home",
    "toolkit",
    "host",
    "store",
    "suite",
    "results",
    "engine",
    "execution",
    "builtin",
    "tracking",
    "testing",
    "cli",
    "__main__",
)
"""Lowest first. Each is a folder or a file of the package."""

FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
IDS = [path.as_posix() for path in FILES]


def floor_of(path):
    return path.parts[0].removesuffix(".py")


def imports(path):
    """What a file imports, at the top, in functions and for type checkers alike, by line."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.lineno, node.module
            if node.module == "bdbench":
                yield from ((node.lineno, f"bdbench.{name.name}") for name in node.names)


def runtime_imports(path):
    """The top-level packages that importing a file imports."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_the_page_on_the_house_has_these_floors():
    """``docs/architecture.md``, lowest first as here."""
    page = (ROOT.parent / "docs" / "architecture.md").read_text("utf-8")
    table = page.partition("\n| floor | what it is |\n")[2].partition("\n\n")[0]

    assert tuple(re.findall(r"^\| `(\w+)(?:/|\.py)` \|", table, re.MULTILINE)) == FLOORS


def test_every_file_stands_on_a_floor():
    assert {floor_of(path) for path in FILES} - {"__init__"} <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_file_imports_from_its_own_floor_and_those_below(path):
    if path.name == "__init__.py" and len(path.parts) == 1:
        assert list(imports(path)) == []
        return
    own = FLOORS.index(floor_of(path))
    upward = [
        f"{path.as_posix()}:{line}: {module}"
        for line, module in imports(path)
        if module.startswith("bdbench.") and FLOORS.index(module.split(".")[1]) > own
    ]

    assert upward == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if floor_of(path) == "api"], ids=lambda path: path.name
)
def test_the_api_needs_pluggy_pydantic_and_nothing_else(path):
    foreign = set(runtime_imports(path)) - set(sys.stdlib_module_names) - {"__future__"}

    assert foreign <= {"bdbench", "pluggy", "pydantic"}


def test_the_test_can_fail():
    """It sees imports at the top, in functions and for type checkers."""
    seen = {module for path in FILES for _, module in imports(path)}

    assert {"bdbench.engine.stages", "bdbench.execution.run", "bdbench.api"} <= seen
