"""``bdbench plugins search``, ``info`` and ``verify``: nothing of a plugin is imported."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click
from packaging.utils import canonicalize_name

from bdbench.api import PluginError
from bdbench.cli.options import as_json, common, echo_json
from bdbench.host.installed import find_distribution, plugin_distributions
from bdbench.host.mending import how_to_install
from bdbench.host.registry import NOTICE, Listed, Registry, load_registry
from bdbench.host.verify import BAD, Verified
from bdbench.host.verify import verify as verify_files
from bdbench.results.render.cells import visible

__all__ = ["info", "registry_option", "search", "verify"]

NOT_AS_IT_SHOULD_BE = 4

registry_option = click.option(
    "--registry",
    "registry_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Another registry; else BDBENCH_REGISTRY, else the one that comes with bdbench.",
)


@click.command("search")
@click.argument("words", nargs=-1)
@registry_option
@as_json
@common
def search(words: tuple[str, ...], registry_path: Path | None, as_json: bool) -> int:  # noqa: FBT001
    """Find plugins of the registry whose entry has all WORDS; without words, all."""
    found = load_registry(registry_path).search(" ".join(words))
    if as_json:
        echo_json([_entry_data(entry) for entry in found])
        return 0
    width = max((len(entry.name) for entry in found), default=0)
    for entry in found:
        installed = find_distribution(entry.distribution)
        mark = f"installed {installed.version}" if installed else ""
        click.echo(visible(f"{entry.name:<{width}}  {entry.tier:<9}  {entry.summary}"))
        click.echo(visible(f"{'':<{width}}  {mark:<9}  {', '.join(entry.provides)}"))
    if not found:
        click.echo("no plugin of the registry has all of these words")
    click.echo(f"\n{NOTICE}", err=True)
    return 0


@click.command("info")
@click.argument("name")
@registry_option
@as_json
@common
def info(name: str, registry_path: Path | None, as_json: bool) -> int:  # noqa: FBT001
    """Tell all that the registry says of plugin NAME, and what is installed of it."""
    registry = load_registry(registry_path)
    entry = registry.find(name)
    if entry is None:
        close = registry.resembling(name)
        raise PluginError(
            "the registry does not list this plugin",
            where=name,
            expected="a name that `bdbench plugins search` finds",
            next=f"write {close.name!r}" if close else "see `bdbench plugins search`",
        )
    dist = find_distribution(entry.distribution)
    files = verify_files(dist, registry) if dist else None
    if as_json:
        echo_json({**_entry_data(entry), "installed": _files_data(files) if files else None})
        return 0
    _print_entry(entry)
    if files:
        click.echo(visible(f"  installed: {files.version}, files: {_files_text(files)}"))
    else:
        click.echo(visible(f"  installed: no; {how_to_install(entry)}"))
    click.echo(f"\n{NOTICE}", err=True)
    return 0


@click.command("verify")
@click.argument("names", nargs=-1)
@registry_option
@as_json
@common
def verify(names: tuple[str, ...], registry_path: Path | None, as_json: bool) -> int:  # noqa: FBT001
    """Hold installed plugins' files against their records and the registry's pins.

    pinned: they are those that the registry pins. intact: as installed, and nothing is pinned.
    editable: a folder of sources. other version: as installed; another one is pinned. different:
    not the pinned files of this version. changed: not as installed. unrecorded: nothing to hold
    them against. Ends with 4 if any is changed, different or, when named, not installed. Nothing
    is imported, and what Python compiled for itself is not looked at.
    """
    registry = load_registry(registry_path)
    found = [verify_files(dist, registry) for dist in _chosen(names, registry)]
    if as_json:
        echo_json([_files_data(files) for files in found])
    else:
        width = max((len(files.distribution) for files in found), default=0)
        for files in found:
            tier = files.entry.tier if files.entry else "unlisted"
            line = f"{files.integrity.value:<13}  {files.distribution:<{width}}  {files.version:<8}"
            click.echo(visible(f"{line}  {tier}"))
            for detail in files.details:
                click.echo(visible(f"{'':<13}  {detail}"))
    return NOT_AS_IT_SHOULD_BE if any(files.integrity in BAD for files in found) else 0


def _chosen(names: tuple[str, ...], registry: Registry) -> list[Any]:
    installed: dict[str, Any] = {
        canonicalize_name(name): dist
        for name, dist in plugin_distributions().items()
        if name != "bdbench"
    }
    if not names:
        return list(installed.values())
    chosen = []
    for name in names:
        distribution: str = canonicalize_name(name)
        if distribution not in installed and (entry := registry.find(name)):
            distribution = entry.distribution
        if distribution not in installed:
            raise PluginError(
                "no plugin of this name is installed", where=name, next="see `bdbench plugins`"
            )
        chosen.append(installed[distribution])
    return chosen


def _entry_data(entry: Listed) -> dict[str, Any]:
    return entry.model_dump(mode="json")


def _files_data(files: Verified) -> dict[str, Any]:
    return {
        "distribution": files.distribution,
        "version": files.version,
        "tier": files.entry.tier if files.entry else None,
        "files": files.integrity.value,
        "details": list(files.details),
        "digest": files.files or None,
    }


def _files_text(files: Verified) -> str:
    return (
        f"{files.integrity.value} ({'; '.join(files.details)})"
        if files.details
        else (files.integrity.value)
    )


def _print_entry(entry: Listed) -> None:
    lines = [
        ("tier", entry.tier),
        ("provides", ", ".join(entry.provides) or "watches runs"),
        ("homepage", entry.homepage),
        ("license", entry.license),
        ("api", entry.api),
        ("citation", "\n".join(entry.citation)),
        ("pinned", _pin_text(entry)),
        ("checked", _checked_text(entry)),
    ]
    click.echo(visible(f"{entry.distribution} ({entry.name})"))
    click.echo(visible(f"  {entry.summary}"))
    for key, value in lines:
        for index, line in enumerate(value.splitlines()):
            head = f"{key}: " if not index else " " * (len(key) + 2)
            click.echo(textwrap.indent(visible(head + line), "  "))


def _pin_text(entry: Listed) -> str:
    if entry.pin is None:
        return "nothing"
    wheels = [f"wheel sha256 {digest}" for digest in entry.pin.sha256] or ["no published wheel"]
    files = [f"files {digest}" for digest in entry.pin.files]
    needs = [f"with {need.distribution} {need.version}" for need in entry.pin.needs]
    return "\n".join([entry.pin.version, *wheels, *files, *needs])


def _checked_text(entry: Listed) -> str:
    if entry.checked is None:
        return "not yet"
    return f"{entry.checked.result} on {entry.checked.date}, host {entry.checked.host}"
