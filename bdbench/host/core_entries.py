"""The registry's entries for the plugins in this repository, made from their folders.

``python -m bdbench.host.core_entries`` in a checkout writes ``registry.yaml`` anew; what others
wrote into it stays, and so does the last check of a plugin whose files are still those that were
checked. With ``--check`` every plugin that has not been checked as it is now is (what `bdbench
check` does, some ten seconds each; they must be installed), ``--check DISTRIBUTION ...`` those
that are named; date and result are written down. ``--pin FILE.whl`` prints the pin of a wheel, for
an entry of one's own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from bdbench.api import hooks
from bdbench.api.specs import ComponentSpec
from bdbench.host.catalog import Host
from bdbench.host.digest import HOST_DISTRIBUTION
from bdbench.host.files import files_digest, is_compiled, sha256_of
from bdbench.host.installed import find_distribution, sources_of
from bdbench.host.plugins import LoadedPlugin, PluginState
from bdbench.host.registry import Pin, Registry, load_registry
from bdbench.host.verify import verify
from bdbench.host.wheels import read_wheel

__all__ = ["check", "core_entries", "main", "updated", "write_registry"]

HEADER = """\
# Plugins that are known to exist. Listing is not endorsement: a plugin is code that runs with its
# user's rights. What an entry holds: docs/plugins/using.md.
#
# `core` entries are made from plugins/* by `python -m bdbench.host.core_entries --check`; a test
# holds them against it. Their wheels are published nowhere, so no digest of one stands here: it
# would be that of one build (the version of the build tool stands in a wheel, and its compression
# is that of the machine), which nobody else could make. `files` is the digest of what any build of
# this version installs, and what is installed is held against it.
"""


def core_entries(root: Path) -> list[dict[str, Any]]:
    """The entries of all plugins in a checkout, without `checked`.

    Imports their hooks from their folders, whether they are installed or not.

    Args:
        root: The checkout.
    """
    projects = {
        file.parent: _project(file) for file in sorted(root.glob("plugins/*/pyproject.toml"))
    }
    host = Host([_discovered(folder, project) for folder, project in projects.items()])
    loaded = {plugin.distribution: plugin for plugin in host.plugins}
    return [
        _entry(folder, project, loaded[project["name"]]) for folder, project in projects.items()
    ]


def _project(file: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))["project"]
    return project


def _discovered(folder: Path, project: dict[str, Any]) -> Any:
    ((name, module),) = project["entry-points"][hooks.ENTRY_POINT_GROUP].items()

    def load() -> Any:
        sys.path.insert(0, str(folder / "src"))
        try:
            return importlib.import_module(module)
        finally:
            sys.path.remove(str(folder / "src"))

    return LoadedPlugin(project["name"], project["version"], name, module), load


def _entry(folder: Path, project: dict[str, Any], plugin: LoadedPlugin) -> dict[str, Any]:
    if plugin.state is not PluginState.OK:
        raise RuntimeError(f"{plugin.id} is {plugin.state}: {plugin.reason}")
    specs = [item.spec for item in plugin.components]
    homepage = project.get("urls", {}).get("Homepage", "")
    citation = sorted({line for spec in specs for line in _references(spec.citation or "")})
    return {
        "name": project["name"].removeprefix("bdbench-"),
        "distribution": project["name"],
        "tier": "core",
        "summary": re.sub(r",? for bdbench\b", "", project["description"]),
        "provides": sorted(f"{spec.kind}:{spec.name}" for spec in specs),
        **({"homepage": homepage} if homepage else {}),
        "license": project["license"],
        **({"citation": citation} if citation else {}),
        "api": _api(specs),
        "pin": {"version": project["version"], "files": [_files(folder, project)]},
    }


def _api(specs: Iterable[ComponentSpec]) -> str:
    major, minor = max(tuple(map(int, spec.api.split("."))) for spec in specs)
    return f">={major}.{minor},<{major + 1}"


def _files(folder: Path, project: dict[str, Any]) -> str:
    """What a wheel of the sources would install."""
    source = folder / "src"
    files = {
        path.relative_to(source).as_posix(): sha256_of(path)
        for path in source.rglob("*")
        if path.is_file() and not is_compiled(path.name)
    }
    points = [
        (group, name, value)
        for group, found in project["entry-points"].items()
        for name, value in found.items()
    ]
    return files_digest(files, points)


def _references(bibtex: str) -> Iterator[str]:
    """One line for each BibTeX entry: who, when, what."""
    for entry in re.split(r"^@", bibtex, flags=re.MULTILINE)[1:]:
        fields = {
            key.lower(): " ".join(re.sub(r"[{}]", "", value).split())
            for key, value in re.findall(r"(\w+)\s*=\s*\{((?:[^{}]|\{[^{}]*\})*)\}", entry)
        }
        authors = fields["author"].split(" and ")
        first = authors[0].partition(",")[0] if "," in authors[0] else authors[0].split()[-1]
        others = " et al." if len(authors) > 1 else ""
        yield f"{first}{others} ({fields['year']}): {fields['title']}"


def updated(registry: Registry, root: Path) -> list[dict[str, Any]]:
    """A registry's entries with those of the repository made anew.

    What a check found holds for the files that were checked, and is dropped with them.
    """
    before = {entry.distribution: entry for entry in registry.plugins}
    core = core_entries(root)
    for entry in core:
        old = before.get(entry["distribution"])
        if old and old.checked and old.pin == Pin.model_validate(entry["pin"]):
            entry["checked"] = old.checked.model_dump()
    others = [
        entry.model_dump(exclude_defaults=True)
        for entry in registry.plugins
        if entry.tier != "core"
    ]
    return core + others


def check(entry: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Makes the checks of a plugin of the repository, in a process of its own.

    Args:
        entry: As `core_entries` gives it.
        root: The checkout.

    Returns:
        What goes under `checked`.

    Raises:
        RuntimeError: What is installed is not what stands in the checkout, or the checks could
            not be made.
    """
    name = entry["distribution"]
    if not _is_installed(entry, root / "plugins" / name):
        raise RuntimeError(f"{name}: what is checked must be installed from {root}")
    command = [sys.executable, "-m", "bdbench", "check", name, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    results = [item for report in json.loads(done.stdout) for item in report["checks"]]
    for item in results:
        if item["outcome"] != "passed":
            _say(f"{name}: {item['check']} {item['outcome']}: {item['reason']}")
    result = "failed" if done.returncode else "passed"
    _say(f"{name}: {len(results)} checks, {result}")
    return {
        "date": dt.datetime.now(dt.UTC).date(),
        "host": metadata.version(HOST_DISTRIBUTION),
        "result": result,
    }


def _is_installed(entry: Mapping[str, Any], folder: Path) -> bool:
    """Whether what is installed is the sources in a folder, or what a wheel of them installs."""
    dist = find_distribution(entry["distribution"])
    if dist is None:
        return False
    if sources := sources_of(dist):
        return sources.resolve() == folder.resolve()
    return verify(dist, Registry(plugins=[])).files in entry["pin"]["files"]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def write_registry(entries: list[dict[str, Any]]) -> str:
    """A registry as text."""
    text = yaml.safe_dump({"plugins": entries}, sort_keys=False, allow_unicode=True, width=100)
    return HEADER + text


def main(arguments: list[str] | None = None) -> None:
    """Writes the registry of the checkout, or prints the pin of wheels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pin", nargs="+", type=Path, metavar="WHEEL")
    parser.add_argument("--check", nargs="*", metavar="DISTRIBUTION")
    given = parser.parse_args(arguments)
    if given.pin:
        found = [read_wheel(path) for path in given.pin]
        pin = {
            "version": found[0].version,
            "sha256": [wheel.sha256 for wheel in found],
            "files": [wheel.files for wheel in found],
        }
        sys.stdout.write(yaml.safe_dump({"pin": pin}, sort_keys=False))
        return
    root = Path(__file__).parents[2]
    file = root / "registry.yaml"
    entries = updated(load_registry(file), root)
    file.write_text(write_registry(entries), "utf-8")
    if given.check is None:
        return
    core = {entry["distribution"]: entry for entry in entries if entry["tier"] == "core"}
    if unknown := sorted(set(given.check) - core.keys()):
        parser.error(f"no plugin of this repository: {', '.join(unknown)}")
    for name in given.check or [name for name, entry in core.items() if "checked" not in entry]:
        core[name]["checked"] = check(core[name], root)
        # What has been checked stays checked, should the next one end badly.
        file.write_text(write_registry(entries), "utf-8")


if __name__ == "__main__":
    main()
