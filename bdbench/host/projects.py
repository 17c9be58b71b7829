"""A folder of sources, as its ``pyproject.toml`` describes it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from bdbench.api.errors import PluginError

__all__ = ["read_project"]


def read_project(path: Path) -> dict[str, Any]:
    """What stands under ``[project]``, a name among it.

    Args:
        path: The folder.

    Raises:
        PluginError: There is no such file, or it names no project.
    """
    file = path / "pyproject.toml"
    try:
        found = tomllib.loads(file.read_text("utf-8"))
        project = found["project"]
        if isinstance(project["name"], str):
            return dict(project)
        problem = "a name that is no text"
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problem = str(error)
    except (KeyError, TypeError):
        problem = "no name"
    raise PluginError(
        "this is not the folder of a plugin",
        where=str(file),
        found=problem,
        expected="a pyproject.toml with [project] and a name, or a file .whl",
        next="`bdbench new` makes such a folder",
    )
