"""``bdbench export-lock``, and what ``bdbench run --locked`` asks of an installation."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from bdbench.api import InputError, PluginError
from bdbench.cli.options import common, make_host, say
from bdbench.host.lock import Difference, Lock, differences, make_lock, read_lock, write_lock
from bdbench.host.lock_requirements import requirements_of
from bdbench.host.registry import load_registry
from bdbench.suite.load import load_suite
from bdbench.suite.resolve import ResolvedSuite, resolve

__all__ = ["check_components", "check_installation", "lock"]

SHOWN = 24
"""So many characters of a version or digest stand in the table."""


@click.command("export-lock")
@click.argument("suite", default="quickstart")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="As for `bdbench run`."
)
@click.option("--data", "local", multiple=True, metavar="NAME=FOLDER", help="As for `bdbench run`.")
@click.option(
    "--requirements",
    is_flag=True,
    help="Write a file of requirements instead, to install the same with uv or pip.",
)
@click.option(
    "--locked",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The requirements of this lock, whatever is installed; SUITE is not looked at.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file: YAML if it ends in .yaml or .yml, else JSON; without it, JSON on stdout.",
)
@common
def lock(
    suite: str,
    overrides: tuple[str, ...],
    local: tuple[str, ...],
    requirements: bool,  # noqa: FBT001 -- click passes options by name
    locked: Path | None,
    out: Path | None,
) -> int:
    """Write down the plugins, versions and code behind SUITE, for `bdbench run --locked`.

    A suite and its lock are what a colleague needs. The lock names versions and digests of code;
    it holds no settings and no results.
    """
    if locked and not requirements:
        raise click.UsageError("--locked FILE goes with --requirements: it is a lock already")
    made = read_lock(locked) if locked else _make_lock(suite, overrides, local)
    if requirements:
        text = requirements_of(made, load_registry())
        following = f"`uv pip install --requirement {_quoted(out)}`"
    else:
        text = write_lock(made, as_yaml=out is not None and out.suffix in {".yaml", ".yml"})
        following = f"`bdbench run {shlex.quote(suite)} --locked {_quoted(out)}`"
    if out is None:
        click.echo(text, nl=False)
        return 0
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(
            "the file cannot be written",
            where=f"--out {out}",
            found=error.strerror or str(error),
            expected="a file in a folder that exists and can be written to",
            next="name another with --out",
        ) from error
    say(f"wrote {out}. Next: {following}")
    return 0


def _make_lock(suite: str, overrides: Sequence[str], local: Sequence[str]) -> Lock:
    host = make_host()
    resolved = resolve(load_suite(suite, host, overrides, local), host)
    return make_lock(resolved.suite.name, resolved.components(), load_registry())


def _quoted(path: Path | None) -> str:
    return shlex.quote(str(path))


def check_installation(file: Path) -> Lock:
    """Reads a lock, and refuses another installation before any plugin is imported.

    Raises:
        InputError: The lock cannot be read.
        PluginError: Something is not as locked; a table on stderr says what.
    """
    wanted = read_lock(file)
    _refuse(
        file,
        differences(wanted, load_registry()),
        f"`bdbench export-lock --locked {_quoted(file)} --requirements` writes down what to "
        "install; or run without --locked",
    )
    return wanted


def check_components(file: Path, wanted: Lock, resolved: ResolvedSuite) -> None:
    """Refuses a suite whose components are not those that a lock names.

    Raises:
        PluginError: Something is not as locked; a table on stderr says what.
    """
    _refuse(
        file,
        differences(wanted, load_registry(), resolved.components()),
        "run the suite that was locked, lock this one with `bdbench export-lock`, "
        "or run without --locked",
    )


def _refuse(file: Path, found: Sequence[Difference], following: str) -> None:
    if not found:
        return
    rows = [("", "locked", "here"), *((item.what, item.locked, item.here) for item in found)]
    width = max(len(what) for what, _, _ in rows)
    for what, locked, here in rows:
        say(f"{what:<{width}}  {_short(locked):<{SHOWN}}  {_short(here)}".rstrip())
    raise PluginError(
        "this is not what was locked",
        where=str(file),
        found=f"{len(found)} difference{'s' if len(found) > 1 else ''} (see the table)",
        expected="the same Python, packages, plugins, code and components",
        next=following,
    )


def _short(text: str) -> str:
    # What a digest starts with is enough to tell two apart.
    text = text or "-"
    return text if len(text) <= SHOWN else text[: SHOWN - 4] + " ..."
