"""``bdbench plugins install`` and ``uninstall``: the plan, the question, and the result."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from bdbench.cli.options import common, say
from bdbench.cli.plugins_known import registry_option
from bdbench.host.install import Plan
from bdbench.host.install import install as install_plugin
from bdbench.host.install import uninstall as uninstall_plugin
from bdbench.host.registry import NOTICE, load_registry
from bdbench.host.requests import Request

__all__ = ["install", "uninstall"]

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
with_option = click.option(
    "--with",
    "installer",
    type=click.Choice(["auto", "pip", "uv"]),
    default="auto",
    show_default=True,
    help="What installs: pip if this environment has it, else uv.",
)


@click.command("install")
@click.argument("wanted", metavar="NAME", required=False)
@click.option(
    "-e",
    "--editable",
    "path",
    metavar="PATH",
    help="A folder of sources, or a wheel, on this machine.",
)
@click.option("--unlisted", is_flag=True, help="Also what the registry does not list.")
@click.option("--sha256", default="", help="The digest that the wheel must have.")
@click.option("--find-links", multiple=True, metavar="FOLDER|URL", help="Where wheels lie.")
@click.option("--no-index", is_flag=True, help="Look nowhere else.")
@yes_option
@with_option
@registry_option
@common
def install(
    wanted: str | None,
    path: str | None,
    unlisted: bool,  # noqa: FBT001 -- click passes options by name
    sha256: str,
    find_links: tuple[str, ...],
    no_index: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    installer: str,
    registry_path: Path | None,
) -> int:
    """Install plugin NAME of the registry into the interpreter that runs bdbench.

    Wheels only, held against the digest that the registry pins, and nothing else is moved. A
    plugin is code that runs with your rights: what it does with them, nobody checks for you.
    """
    if (wanted is None) == (path is None):
        raise click.UsageError("give the NAME of a plugin, or -e with a folder or a wheel")
    request = Request(
        wanted=wanted or path or "",
        editable=path is not None,
        unlisted=unlisted,
        sha256=sha256,
        installer=installer,
        find_links=find_links,
        no_index=no_index,
    )

    def confirm(plan: Plan) -> bool:
        say("\n".join(_describe(plan)))
        return yes or _ask("Install it?")

    done = install_plugin(request, load_registry(registry_path), confirm)
    if done is None:
        say("nothing was installed")
        return 0
    say(
        f"installed {done.distribution} {done.version}, files: {done.integrity}. "
        "Next: `bdbench plugins`"
    )
    return 0


def _ask(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise click.UsageError("nobody is here to answer: add --yes to agree to this") from None


def _describe(plan: Plan) -> Iterator[str]:
    target = plan.target
    listed = f"listed, {target.entry.tier}" if target.entry else "not listed"
    if target.folder and target.entry:
        # Whose sources they are, nobody can tell.
        listed = "named like a listed plugin; its files are not checked"
    change = f", instead of {plan.installed}" if plan.installed else ""
    version = f" {target.version}" if target.version else ""
    yield f"{target.distribution}{version} ({listed}){change}"
    if target.entry and not target.folder:
        yield f"  {target.entry.summary}"
        yield f"  brings  {', '.join(target.entry.provides) or 'a watcher of runs'}"
    for digest in target.sha256:
        yield f"  sha256  {digest}"
    if target.folder or target.wheel:
        yield f"  from    {target.folder or target.wheel}"
    for need in target.needs:
        yield f"  with    {need.distribution} {need.version}, pinned too"
    yield f"  into    {sys.executable}"
    for line in plan.command_lines:
        yield f"  by      {line}"
    for line in plan.requirements:
        yield f"          {line}"
    for warning in plan.warnings:
        yield f"  warning: {warning}"
    yield NOTICE


@click.command("uninstall")
@click.argument("name")
@yes_option
@with_option
@registry_option
@common
def uninstall(name: str, yes: bool, installer: str, registry_path: Path | None) -> int:  # noqa: FBT001
    """Remove plugin NAME from the interpreter that runs bdbench; nothing but plugins."""

    def confirm(dist: Mapping[str, str], command: str) -> bool:
        say(f"{dist['distribution']} {dist['version']}\n  by      {command}")
        return yes or _ask("Remove it?")

    removed = uninstall_plugin(name, load_registry(registry_path), confirm, installer)
    say(f"removed {name}" if removed else "nothing was removed")
    return 0
