"""``bdbench plugins``: every installed plugin, and what became of it."""

from __future__ import annotations

import click

from bdbench.cli.options import as_json, common, echo_json, say, wants_debug
from bdbench.host.catalog import Host
from bdbench.results.render.cells import visible

__all__ = ["plugins"]


@click.command("plugins")
@as_json
@common
def plugins(as_json: bool) -> int:  # noqa: FBT001 -- click passes options by name
    """List plugins, with their states and reasons.

    ok: usable. disabled: not imported. broken: could not be loaded. conflict: claims a name that
    another claims too; use full names. incompatible: written for another version of the API.
    """
    host = Host()
    if as_json:
        echo_json(
            [
                {
                    "distribution": plugin.distribution,
                    "version": plugin.version,
                    "entry_point": plugin.entry_point,
                    "module": plugin.module,
                    "state": plugin.state.value,
                    "reason": plugin.reason,
                    "provides": [
                        {"kind": item.spec.kind, "name": item.spec.name}
                        for item in plugin.components
                    ],
                }
                for plugin in host.plugins
            ]
        )
        return 0
    width = max((len(plugin.distribution) for plugin in host.plugins), default=0)
    for plugin in host.plugins:
        names = ", ".join(f"{item.spec.name}" for item in plugin.components)
        if not plugin.components and not plugin.reason:
            names = "watches runs"
        click.echo(
            visible(
                f"{plugin.state.value:<12}  {plugin.distribution:<{width}}  {plugin.version:<8}  "
                f"{plugin.entry_point}: {names or plugin.reason}"
            )
        )
        if plugin.reason and names:
            click.echo(visible(f"{'':<12}  {plugin.reason}"))
        if plugin.details and wants_debug():
            say(plugin.details)
    return 0
