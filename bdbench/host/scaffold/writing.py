"""The files of a new plugin, from templates; all of them appear at once or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import metadata
from pathlib import Path, PurePosixPath

import jinja2
from packaging.version import Version

from bdbench.api.errors import InputError
from bdbench.api.version import API_VERSION
from bdbench.host.scaffold.naming import Names

__all__ = ["SUITE_PLUGINS", "files_of", "host_range", "write"]

_TEMPLATES = Path(__file__).with_name("templates")
_ENDING = ".j2"

_REQUIREMENTS = {
    "attack": ("pydantic>=2.10",),
    "defense": ("pydantic>=2.10", "torch>=2.10"),
    "metric": ("numpy>=1.26", "pydantic>=2.10"),
    "model": ("pydantic>=2.10", "safetensors>=0.5", "torch>=2.10"),
    "dataset": ("pydantic>=2.10",),
}
"""What the implementation imports besides bdbench."""

SUITE_PLUGINS = {
    "attack": ("bdbench-metric-classification",),
    "defense": ("bdbench-attack-insertion", "bdbench-metric-classification"),
    "metric": ("bdbench-attack-insertion", "bdbench-metric-classification"),
    "model": ("bdbench-attack-insertion", "bdbench-metric-classification"),
    "dataset": ("bdbench-attack-insertion", "bdbench-metric-classification"),
}
"""The plugins that suite.yaml names besides the new one."""


def files_of(names: Names) -> dict[PurePosixPath, str]:
    """The content of every file of a new plugin, by its path in the plugin's folder."""
    # Python, YAML and workflows are full of the usual brackets.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 -- no HTML; a name is letters, digits and hyphens
    )
    values = {
        "api": API_VERSION,
        "kind": names.kind,
        "name": names.name,
        "short": names.short,
        "snake": names.snake,
        "distribution": names.distribution,
        "package": names.package,
        "class_name": names.class_name,
        "config_name": names.config_name,
        "requirements": _REQUIREMENTS[names.kind],
        "companions": SUITE_PLUGINS[names.kind],
        "host_range": host_range(metadata.version("bdbench")),
    }
    files = {}
    for folder in ("common", names.kind):
        for path in sorted((_TEMPLATES / folder).rglob(f"*{_ENDING}")):
            relative = path.relative_to(_TEMPLATES / folder).as_posix().removesuffix(_ENDING)
            if relative != "README-end.md":
                template = environment.get_template(path.relative_to(_TEMPLATES).as_posix())
                files[_place(relative, names)] = template.render(values)
    return files


def _place(relative: str, names: Names) -> PurePosixPath:
    first, *rest = PurePosixPath(relative).parts
    start = {
        "src": PurePosixPath("src", names.package),
        # Under these names no tool would mistake the templates for the host's own.
        "github": PurePosixPath(".github"),
        "gitignore": PurePosixPath(".gitignore"),
    }.get(first, PurePosixPath(first))
    return start.joinpath(*rest)


def host_range(version: str) -> str:
    """The hosts that a plugin written for this one may be installed with.

    Before 1.0 these are the ones with the same minor number, later the ones with the same major
    number that are not older.
    """
    have = Version(version)
    following = f"{have.major + 1}" if have.major else f"0.{have.minor + 1}"
    return f">={have.major}.{have.minor},<{following}"


def write(names: Names, parent: Path) -> Path:
    """Writes the plugin to a new folder below `parent`, named as the distribution.

    The folder appears by one rename when all files are in it.

    Raises:
        InputError: There is something of that name, or the folder cannot be written.
    """
    files = files_of(names)
    folder = parent / names.distribution
    if os.path.lexists(folder):
        raise InputError(
            "there is something of that name already, and it is left as it is",
            where=str(folder),
            expected="a name that is still free",
            next="choose another name, or another folder with --out",
        )
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{names.distribution}-", dir=parent))
    except OSError as error:
        raise _unwritable(parent, error) from None
    try:
        for path, content in files.items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_text(content, "utf-8")
        draft.chmod((draft / "src").stat().st_mode)  # `mkdtemp` makes a private folder
        draft.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _unwritable(place: Path, error: OSError) -> InputError:
    return InputError(
        "the plugin cannot be written",
        where=str(place),
        found=error.strerror or str(error),
        expected="a folder to write to",
        next="choose another folder with --out",
    )
