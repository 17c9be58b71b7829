"""``bdbench report``: a comparison as a file, in any format."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from bdbench.api import InputError
from bdbench.cli.finished import find_comparison, make_reporter
from bdbench.cli.options import common, home_option, make_host
from bdbench.home import resolve_home
from bdbench.suite.reader import parse_value

__all__ = ["report"]

ENDINGS = {"latex": "tex", "markdown": "md", "table": "txt"}
"""Where the ending of a file is not the format's name."""


@click.command(
    "report", epilog="Exit codes: 0 ok, 4 no such run, format or setting, or no place to write to."
)
@click.argument("suite", metavar="[SUITE|RUN]", required=False)
@home_option
@click.option(
    "--format",
    "name",
    default="bdbench/html",
    show_default=True,
    help="A reporter: see `bdbench list --kind reporter`.",
)
@click.option(
    "--out",
    help="File or folder to write to, or - for standard output.  [default: <run>.<ending> here]",
)
@click.option(
    "--standalone", is_flag=True, help="A document that stands by itself (latex: compiles)."
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the format."
)
@common
def report(
    suite: str | None,
    home: str | None,
    name: str,
    out: str | None,
    standalone: bool,  # noqa: FBT001 -- click passes options by name
    settings: tuple[str, ...],
) -> int:
    """Write the newest comparison, of SUITE (or of one run by its name), to a file.

    Prints the file's path. What was there before is replaced, whole or not at all.
    """
    folder, comparison = find_comparison(resolve_home(home), suite)
    values = dict(_setting(text) for text in settings)
    if standalone:
        values["standalone"] = True
    text = make_reporter(make_host(), name, values, where="--format").render(comparison)
    if out == "-":
        click.echo(text, nl=False)
        return 0
    path = Path(out) if out else Path()
    if path.is_dir():
        ending = name.rpartition("/")[2]
        path /= f"{folder.name}.{ENDINGS.get(ending, ending)}"
    _write(path, text)
    click.echo(path)
    return 0


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"--set {text}: key=value, for instance intervals=true")
    return key, parse_value(value, f"--set {text}")


def _write(path: Path, text: str) -> None:
    """Puts a text in the place of a file; it appears whole or not at all."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.absolute().parent, prefix=".writing-", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise InputError(
            "the report cannot be written",
            where=str(path),
            found=error.strerror or str(error),
            expected="a file in a folder that exists and can be written to",
            next="name another with --out",
        ) from error
