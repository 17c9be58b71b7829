"""Options that commands share, and the host and home that they lead to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from bdbench.host.catalog import Host
from bdbench.results.render.cells import visible

__all__ = ["as_json", "common", "echo_json", "home_option", "make_host", "say", "wants_debug"]

DEBUG = "bdbench.debug"

Command = TypeVar("Command", bound=Callable[..., Any])

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False),
    help="Folder for everything; else BDBENCH_HOME, else the platform's folder for user data.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def common(command: Command) -> Command:
    """Adds ``--debug`` and ``--no-plugin``, which every command has."""
    command = click.option(
        "--no-plugin",
        "no_plugin",
        multiple=True,
        metavar="NAME",
        expose_value=False,
        callback=_disable,
        help="Do not import this plugin (also BDBENCH_DISABLE_PLUGINS, separated by commas).",
    )(command)
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_debug,
        help="Show tracebacks of errors.",
    )(command)


def _debug(context: click.Context, _parameter: click.Parameter, debug: bool) -> None:  # noqa: FBT001
    context.meta[DEBUG] = debug


def wants_debug() -> bool:
    """Whether ``--debug`` was given."""
    return bool(click.get_current_context().meta.get(DEBUG))


def _disable(_context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]) -> None:
    if names:
        # Workers inherit the environment, so a disabled plugin is disabled everywhere.
        before = os.environ.get("BDBENCH_DISABLE_PLUGINS", "")
        os.environ["BDBENCH_DISABLE_PLUGINS"] = ",".join([*filter(None, [before]), *names])


def make_host(*, tell_broken: bool = True) -> Host:
    """All plugins, with a warning for each that is not loaded, and for names that none has.

    Args:
        tell_broken: Whether to warn of plugins; not where they are listed anyhow.
    """
    host = Host()
    for unknown in host.unknown:
        say(f"warning: BDBENCH_DISABLE_PLUGINS or --no-plugin: {unknown}")
    for plugin in host.broken() if tell_broken else []:
        say(f"warning: plugin {plugin.id} is {plugin.state}: {plugin.reason}")
    return host


def say(text: str) -> None:
    """A line for people, on stderr; nothing in it acts on the terminal."""
    click.echo("\n".join(visible(line) for line in text.split("\n")), err=True)


def echo_json(data: Any) -> None:
    """Data for machines, on stdout; ASCII only, so that no name acts on a terminal."""
    click.echo(json.dumps(data, indent=2, allow_nan=False))
