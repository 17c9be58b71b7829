"""``bdbench leaderboard``: the comparison of a finished run."""

from __future__ import annotations

import click

from bdbench.api import Reporter
from bdbench.cli.options import common, home_option, make_host
from bdbench.home import resolve_home
from bdbench.results.runs import latest_run, read_comparison

__all__ = ["leaderboard"]


@click.command("leaderboard")
@click.argument("suite", required=False)
@home_option
@click.option("--format", "reporter", default="table", help="A reporter: see `bdbench list`.")
@click.option("--json", "reporter", flag_value="json", help="Everything, as JSON.")
@click.option("--csv", "reporter", flag_value="csv", help="Full precision, as CSV.")
@click.option("--markdown", "reporter", flag_value="markdown", help="As a Markdown table.")
@common
def leaderboard(suite: str | None, home: str | None, reporter: str) -> int:
    """Show the newest comparison, of SUITE (or of one run by its name) or of any suite."""
    folder = latest_run(resolve_home(home), suite)
    comparison = read_comparison(folder)
    host = make_host()
    writer: Reporter = host.load_class(host.find("reporter", reporter, where="--format"))(None)
    click.echo(writer.render(comparison), nl=False)
    return 0
