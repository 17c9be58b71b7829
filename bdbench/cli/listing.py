"""``bdbench list``: what is installed."""

from __future__ import annotations

import click

from bdbench.api import DefenseSpec
from bdbench.cli.options import as_json, common, echo_json, make_host
from bdbench.results.render.cells import visible

__all__ = ["listing"]

KINDS = (
    "attack",
    "defense",
    "metric",
    "model",
    "dataset",
    "suite",
    "reporter",
    "executor",
)


@click.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only components of this kind.")
@as_json
@common
def listing(kind: str | None, as_json: bool) -> int:  # noqa: FBT001 -- click passes options by name
    """List the components that are installed; `bdbench show NAME` explains one."""
    host = make_host()
    components = host.components(kind)
    if as_json:
        echo_json(
            [
                {
                    "kind": item.spec.kind,
                    "name": item.spec.name,
                    "full_name": item.full_name,
                    "version": item.version,
                    "summary": item.spec.summary,
                    "tasks": sorted(item.spec.tasks),
                    **(
                        {"needs": item.spec.needs.describe()}
                        if isinstance(item.spec, DefenseSpec)
                        else {}
                    ),
                }
                for item in components
            ]
        )
        return 0
    width = max((len(item.spec.name) for item in components), default=0)
    shown = ""
    for item in sorted(components, key=lambda item: KINDS.index(item.spec.kind)):
        if item.spec.kind != shown:
            click.echo(f"{chr(10) if shown else ''}{item.spec.kind}s")
            shown = item.spec.kind
        line = f"  {item.spec.name:<{width}}  {item.spec.summary}"
        click.echo(
            visible(line)
            + ("" if item.distribution == "bdbench" else f"  [{visible(item.distribution)}]")
        )
    return 0
