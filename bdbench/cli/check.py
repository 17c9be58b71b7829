"""``bdbench check``: does a plugin keep to what components keep to?"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

import click

from bdbench.cli.options import as_json, common, echo_json, make_host, say, wants_debug
from bdbench.host.plugins import Component
from bdbench.results.render.cells import visible
from bdbench.testing.hooks import faults_of_plugin
from bdbench.testing.report import CheckReport, Outcome
from bdbench.testing.running import check_distribution

__all__ = ["check"]

MARKS = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "FAILED",
    Outcome.SKIPPED: "skipped",
    Outcome.EXPECTED_FAILURE: "expected",
    Outcome.UNEXPECTED_PASS: "FAILED",
}
FAILED, NOTHING = 1, 5


@click.command(
    "check",
    epilog="Exit codes: 0 all checks passed, 1 some failed, 4 no such plugin or component, "
    "5 a plugin has no components.",
)
@click.argument("names", metavar="[PLUGIN|COMPONENT]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="List the checks and make none.")
@click.option("--only", multiple=True, metavar="CHECK", help="Make this check; may be repeated.")
@as_json
@common
def check(names: tuple[str, ...], listing: bool, only: tuple[str, ...], as_json: bool) -> int:  # noqa: FBT001 -- click passes options by name
    """Check a plugin's components against the rules of their kind.

    Lets each act in a tiny world of random models and made-up rows, offline, in seconds. Runs
    the plugin's code with your rights, outside of any sandbox.
    """
    if listing:
        _list(as_json=as_json)
        return 0
    if not names:
        raise click.UsageError("Name a plugin or a component, or give --list.")
    reports: list[CheckReport] = []
    empty = []
    with _aside():
        host = make_host()
        for name in dict.fromkeys(names):
            found = check_distribution(name, host, _tell, only)
            reports += found
            if not found:
                empty.append(name)
                why = "; ".join(faults_of_plugin(name))
                say(f"{name} has no components to check" + f": {why}" * bool(why))
    if as_json:
        echo_json([report.to_dict() for report in reports])
    elif reports:
        _print(reports)
    if not all(report.ok for report in reports):
        return FAILED
    return NOTHING if empty else 0


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """Lets what a component prints go to stderr: stdout is for the outcome."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _tell(component: Component) -> None:
    say(f"checking {component.spec.kind} {component.full_name} ...")


def _list(*, as_json: bool) -> None:
    from bdbench.testing.checks import CHECKS  # noqa: PLC0415 -- imports torch

    rows = [(item.name, sorted(item.kinds) or ["all"], item.summary) for item in CHECKS.values()]
    if as_json:
        echo_json([dict(zip(("check", "kinds", "summary"), row, strict=True)) for row in rows])
        return
    shown = [(name, ", ".join(kinds), summary) for name, kinds, summary in rows]
    width = max(len(name) for name, _, _ in shown)
    for name, kinds, summary in shown:
        click.echo(f"{name:<{width}}  {summary} ({kinds})")


def _print(reports: Sequence[CheckReport]) -> None:
    width = max((len(item.check) for report in reports for item in report.results), default=0)
    for report in reports:
        click.echo(visible(f"{report.kind} {report.component} {report.version}"))
        for result in report.results:
            line = f"  {MARKS[result.outcome]:<8}  {result.check:<{width}}  {result.reason}"
            click.echo(visible(" ".join(line.rstrip().split("\n"))))
            if "traceback" in result.error and wants_debug():
                say(result.error["traceback"])
        click.echo()
    results = [result for report in reports for result in report.results]
    counts = {
        mark: sum(MARKS[result.outcome] == mark for result in results)
        for mark in dict.fromkeys(MARKS.values())
    }
    click.echo(
        f"{_counted(len(reports), 'component')}, {_counted(len(results), 'check')}: "
        + ", ".join(f"{count} {mark.lower()}" for mark, count in counts.items() if count)
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
