"""``bdbench new``: a plugin to start from."""

from __future__ import annotations

from pathlib import Path

import click

from bdbench.cli.options import common, make_host, say
from bdbench.host.scaffold.naming import KINDS, names_for, warnings_for

__all__ = ["new"]


@click.command("new", epilog="Exit codes: 0 ok, 4 the name or the folder cannot be used.")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Where the new folder goes; the current folder if not given.",
)
@common
def new(kind: str, name: str, out: Path) -> int:
    """Write a plugin package for a component of KIND that is called NAME.

    The package is complete: it already works, has tests, types and a suite that runs it. NAME is
    the component's, in kebab-case; the distribution is called bdbench-KIND-NAME.
    """
    # jinja2 is needed by nothing else that answers at once.
    from bdbench.host.scaffold.writing import SUITE_PLUGINS, write  # noqa: PLC0415

    names = names_for(kind, name)
    for warning in warnings_for(names, make_host()):
        say(f"warning: {warning}")
    folder = write(names, out)
    click.echo(str(folder))
    say(
        f"\nWhat next:\n"
        f"  cd {folder}\n"
        f"  pip install -e . pytest\n"
        f"  pytest                  its own tests, and bdbench's for every {kind}\n"
        f"  bdbench run suite.yaml  a row on the leaderboard "
        f"(with {' and '.join(SUITE_PLUGINS[kind])})\n"
        f"Then put your own work into src/{names.package}/{kind}.py."
    )
    return 0
