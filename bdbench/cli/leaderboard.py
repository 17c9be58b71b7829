"""``bdbench leaderboard``: the comparison of a finished run."""

from __future__ import annotations

import click

from bdbench.cli.checks import broken_by, chosen_rows, parse_check, remarks
from bdbench.cli.exits import Exit
from bdbench.cli.finished import find_comparison, make_reporter
from bdbench.cli.options import common, home_option, make_host, say
from bdbench.home import resolve_home

__all__ = ["leaderboard"]


@click.command(
    "leaderboard",
    epilog="Exit codes: 0 ok, 4 no such run or a mistake in an option, 6 a row fails a --fail-if.",
)
@click.argument("suite", metavar="[SUITE|RUN]", required=False)
@home_option
@click.option(
    "--format", "reporter", metavar="NAME", help="A reporter, else `table`: see `bdbench list`."
)
@click.option("--json", is_flag=True, help="Everything, as JSON.")
@click.option("--csv", is_flag=True, help="Full precision, as CSV.")
@click.option("--markdown", is_flag=True, help="As a Markdown table.")
@click.option(
    "--fail-if",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="End with 6 if a row's mean meets this, e.g. 'asr>0.2'; may be given again. A row "
    "without the value fails too. Rows of an attack that did not take are left out, and `none` "
    "unless it is named with --defense.",
)
@click.option("--attack", "attacks", multiple=True, metavar="NAME", help="--fail-if: only this.")
@click.option("--defense", "defenses", multiple=True, metavar="NAME", help="--fail-if: only this.")
@common
def leaderboard(
    suite: str | None,
    home: str | None,
    reporter: str | None,
    conditions: tuple[str, ...],
    attacks: tuple[str, ...],
    defenses: tuple[str, ...],
    **flags: bool,
) -> int:
    """Show the newest comparison, of SUITE (or of one run by its name) or of any suite."""
    if (attacks or defenses) and not conditions:
        raise click.UsageError("--attack and --defense say what --fail-if is about: give that too")
    reporter = _chosen(reporter, [name for name, given in flags.items() if given])
    _, comparison = find_comparison(resolve_home(home), suite)
    checks = [parse_check(text, comparison) for text in conditions]
    rows = chosen_rows(comparison, attacks, defenses) if checks else []
    if reporter in {"table", "bdbench/table"}:
        from bdbench.results.render.table import render_for_terminal  # noqa: PLC0415 -- rich

        # Colour only where rich sees a terminal: click must not judge again.
        click.echo(render_for_terminal(comparison), nl=False, color=True)
    else:
        writer = make_reporter(make_host(), reporter, {}, where="--format")
        click.echo(writer.render(comparison), nl=False)
    broken = list(broken_by(checks, rows))
    told = [*broken, *(remarks(comparison, rows) if checks else ())]
    if told:
        say("\n".join(told))
    return Exit.CHECK_FAILED if broken else Exit.OK


def _chosen(reporter: str | None, flags: list[str]) -> str:
    """The one reporter that is asked for.

    Raises:
        click.UsageError: It is more than one; none of them would be the right one to leave out.
    """
    asked = [*([] if reporter is None else [f"--format {reporter}"]), *(f"--{it}" for it in flags)]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)}: give one format")
    return f"bdbench/{flags[0]}" if flags else reporter or "bdbench/table"
