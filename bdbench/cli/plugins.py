"""``bdbench plugins``: every installed plugin, and what became of it; and commands about them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from bdbench.cli.options import as_json, common, echo_json, make_host, say, wants_debug
from bdbench.host.catalog import Host
from bdbench.host.installed import origin_of, plugin_distributions, sources_of
from bdbench.host.plugins import LoadedPlugin
from bdbench.host.registry import Registry, load_registry
from bdbench.host.verify import BAD, Integrity, Verified, verify
from bdbench.results.render.cells import visible

__all__ = ["plugins"]

HOST = "bdbench"
SUBCOMMANDS = {
    "search": "plugins_known",
    "info": "plugins_known",
    "install": "plugins_change",
    "uninstall": "plugins_change",
    "verify": "plugins_known",
}


class _Group(click.Group):
    """Imports its commands when they are called: the list waits for no installer."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in SUBCOMMANDS:
            return None
        module = importlib.import_module(f"bdbench.cli.{SUBCOMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group("plugins", cls=_Group, invoke_without_command=True)
@click.option(
    "--requirements",
    "requirements",
    is_flag=True,
    help="Print the installed plugins as requirements, to install the same again.",
)
@as_json
@common
@click.pass_context
def plugins(context: click.Context, as_json: bool, requirements: bool) -> int:  # noqa: FBT001
    """List plugins, with their states and reasons.

    ok: usable. disabled: not imported. broken: could not be loaded. conflict: claims a name that
    another claims too; use full names. incompatible: written for another version of the API.

    Plugins whose files are not as they were installed, or not those that the registry pins, are
    told; `bdbench plugins verify` says more.
    """
    command = context.invoked_subcommand
    given = {"--requirements": requirements, "--json": as_json}
    for option in [option for option, is_given in given.items() if is_given and command]:
        raise click.UsageError(f"{option} before {command} is about the list; see {command} --help")
    if command:
        return 0
    if requirements and as_json:
        raise click.UsageError("--requirements are no JSON: give one of the two")
    if requirements:
        _print_requirements()
        return 0
    host = make_host(tell_broken=False)
    registry = load_registry()
    verified = {
        name: verify(dist, registry)
        for name, dist in plugin_distributions().items()
        if name != HOST
    }
    if as_json:
        echo_json([_describe(plugin, verified) for plugin in host.plugins])
    else:
        _print(host, registry, verified)
    return 0


def _describe(plugin: LoadedPlugin, verified: Mapping[str, Verified]) -> dict[str, Any]:
    files = verified.get(plugin.distribution)
    return {
        "distribution": plugin.distribution,
        "version": plugin.version,
        "entry_point": plugin.entry_point,
        "module": plugin.module,
        "state": plugin.state.value,
        "reason": plugin.reason,
        "provides": [
            {"kind": item.spec.kind, "name": item.spec.name} for item in plugin.components
        ],
        # The host's own entry points are no plugins of the registry.
        "tier": files.entry.tier if files and files.entry else None,
        "files": files.integrity.value if files else None,
        "files_details": list(files.details) if files else [],
    }


def _print(host: Host, registry: Registry, verified: Mapping[str, Verified]) -> None:
    width = max((len(plugin.distribution) for plugin in host.plugins), default=0)
    for plugin in host.plugins:
        names = plugin.brings if plugin.components or not plugin.reason else ""
        click.echo(
            visible(
                f"{plugin.state.value:<12}  {plugin.distribution:<{width}}  {plugin.version:<8}  "
                f"{plugin.entry_point}: {names or plugin.reason}"
            )
        )
        more = [plugin.reason] if plugin.reason and names else []
        files = verified.get(plugin.distribution)
        more += [*_doubts(files, registry)] if files else []
        for line in more:
            click.echo(visible(f"{'':<12}  {line}"))
        if plugin.details and wants_debug():
            say(plugin.details)


def _doubts(files: Verified, registry: Registry) -> list[str]:
    """What a user should know of an installed plugin's files and name."""
    doubts = []
    if files.integrity in BAD:
        which = {
            Integrity.CHANGED: "its files are not those that were installed",
            Integrity.DIFFERENT: "its files are not those that the registry pins",
        }[files.integrity]
        more = f" and {len(files.details) - 1} more" if len(files.details) > 1 else ""
        doubts.append(f"! {which}: {files.details[0]}{more}")
    close = None if files.entry else registry.resembling(files.distribution)
    if close:
        doubts.append(f"! not in the registry, and its name resembles {close.distribution}")
    return doubts


def _print_requirements() -> None:
    for name, dist in plugin_distributions().items():
        if name == HOST:
            continue
        folder = sources_of(dist)
        url = _address(origin_of(dist))
        if folder:
            click.echo(visible(f"-e {folder}"))
        elif url:
            click.echo(visible(f"{name} @ {url}  # {dist.version}"))
        else:
            click.echo(visible(f"{name}=={dist.version}"))


def _address(origin: Mapping[str, Any]) -> str:
    """The address of what came from no index, as requirements have it; empty for what did."""
    url = str(origin.get("url", ""))
    if vcs := origin.get("vcs_info"):
        url = f"{vcs.get('vcs')}+{url}@{vcs.get('commit_id')}"
    subdirectory = origin.get("subdirectory")
    return f"{url}#subdirectory={subdirectory}" if subdirectory else url
