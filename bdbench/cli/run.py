"""``bdbench run``: run a suite, or show what it would do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bdbench.cli.exits import Exit
from bdbench.cli.lock import check_components, check_installation
from bdbench.cli.options import as_json, common, echo_json, home_option, make_host, say, wants_debug
from bdbench.home import Home, resolve_home
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.host.plugins import Component
from bdbench.results.render.cells import visible
from bdbench.store.objects import Store
from bdbench.suite.load import load_suite
from bdbench.suite.pinned import check_before_import
from bdbench.suite.plan import Plan, Wanted
from bdbench.suite.planning import build_plan
from bdbench.suite.reader import parse_value
from bdbench.suite.resolve import ResolvedSuite, resolve

if TYPE_CHECKING:
    from bdbench.api import ComponentConfig, Executor
    from bdbench.execution.run import RunResult

__all__ = ["run"]


def _numbers(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter("numbers separated by commas, for instance 0,1,2") from None


@click.command("run")
@click.argument("suite", default="quickstart")
@home_option
@click.option(
    "--plan", "plan_only", is_flag=True, help="Show the matrix; compute and write nothing."
)
@as_json
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting, e.g. training.epochs=3 or attacks.badnets.poison_rate=0.2.",
)
@click.option(
    "--data",
    "local",
    multiple=True,
    metavar="NAME=FOLDER",
    help="A copy on this machine of a data set of the suite: train, test and validation files.",
)
@click.option("--limit", type=click.IntRange(min=2), help="At most so many rows per split.")
@click.option("--seeds", callback=_numbers, metavar="N,N,...", help="Seeds instead of the suite's.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only this data set.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Only this model.")
@click.option("--attack", "attacks", multiple=True, metavar="NAME", help="Only this attack.")
@click.option("--defense", "defenses", multiple=True, metavar="NAME", help="Only this defense.")
@click.option("--executor", default="bdbench/local", show_default=True, help="How stages are run.")
@click.option(
    "--executor-set",
    "executor_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the executor, e.g. isolation=landlock or memory_gib=8; see `bdbench show`.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Stages at a time (local executor).")
@click.option(
    "--locked",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Refuse to run unless everything is as this lock says; see `bdbench export-lock`.",
)
@click.option(
    "--display",
    type=click.Choice(["auto", "live", "plain", "none"]),
    default="auto",
    show_default=True,
    help="How progress is shown, on stderr.",
)
@common
def run(
    suite: str,
    home: str | None,
    plan_only: bool,  # noqa: FBT001 -- click passes options by name
    as_json: bool,  # noqa: FBT001
    overrides: tuple[str, ...],
    local: tuple[str, ...],
    limit: int | None,
    seeds: list[int] | None,
    executor: str,
    executor_settings: tuple[str, ...],
    workers: int | None,
    locked: Path | None,
    display: str,
    **filters: tuple[str, ...],
) -> int:
    """Run SUITE, a preset's name or a YAML file (default: quickstart).

    What is there already is not computed again: the same command continues after an
    interruption, and computes nothing when nothing is missing.
    """
    # Before the host imports what is installed.
    lock = check_installation(locked) if locked else None
    check_before_import(suite, overrides)
    host = make_host()
    overrides = (
        *overrides,
        *([f"limit={limit}"] if limit is not None else []),
        *([f"seeds={seeds}"] if seeds is not None else []),
    )
    resolved = resolve(load_suite(suite, host, overrides, local), host)
    if lock and locked:
        check_components(locked, lock, resolved)
    plan = build_plan(resolved, _wanted(resolved, filters))
    place = resolve_home(home)
    if not plan.cells:
        say("nothing to run: no cell of the suite passes the filters")
        return Exit.NOTHING_TO_RUN
    # A plan tells of mistakes in it, too.
    component, config = _configured(host, executor, executor_settings, workers)
    if plan_only:
        return _show_plan(plan, place, as_json=as_json)
    chosen: Executor = host.load_class(component)(config)
    result = _run(plan, host, place, chosen, display)
    return _report(result, plan, place, suite, as_json=as_json)


def _wanted(resolved: ResolvedSuite, filters: Mapping[str, tuple[str, ...]]) -> Wanted:
    labels = {
        "datasets": [part.label for part in resolved.datasets],
        "models": [part.label for part in resolved.models],
        "attacks": [part.label for part in resolved.attacks],
        "defenses": [defense.label for defense in resolved.defenses],
    }
    for kind, names in filters.items():
        for name in names:
            if name not in labels[kind]:
                raise click.UsageError(
                    f"--{kind[:-1]} {name}: the suite has {visible(', '.join(labels[kind]))}"
                )
    chosen = {kind: set(names) or None for kind, names in filters.items()}
    return Wanted(
        datasets=chosen["datasets"],
        models=chosen["models"],
        attacks=chosen["attacks"],
        defenses=chosen["defenses"],
    )


def _configured(
    host: Host, name: str, settings: tuple[str, ...], workers: int | None
) -> tuple[Component, ComponentConfig]:
    """The executor and its settings; nothing of it is started yet."""
    component = host.find("executor", name, where="--executor")
    values: dict[str, Any] = {} if workers is None else {"workers": workers}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise click.UsageError(f"--executor-set {setting}: write KEY=VALUE")
        values[key] = parse_value(text, "--executor-set")
    return component, configure(host, component, values, where=f"--executor {name}")


def _run(plan: Plan, host: Host, home: Home, executor: Executor, display: str) -> RunResult:
    from bdbench.cli.progress import make_progress  # noqa: PLC0415 -- rich, only for a real run
    from bdbench.execution.run import run_plan  # noqa: PLC0415

    stored = Store(home.store).keys()
    with make_progress(plan, stored, display) as progress:
        return run_plan(plan, host, home, executor, progress.on_stage)


def _report(result: RunResult, plan: Plan, home: Home, suite: str, *, as_json: bool) -> int:
    from bdbench.results.render.table import render_for_terminal  # noqa: PLC0415 -- rich
    from bdbench.results.runs import read_comparison  # noqa: PLC0415

    comparison = read_comparison(result.folder)
    if as_json:
        echo_json(comparison)
    else:
        click.echo(render_for_terminal(comparison), nl=False, color=True)
    for warning in result.warnings:
        say(f"warning: {warning}")
    _say_errors(result, plan)
    status = {record.status for record in result.records}
    if not result.interrupted:
        _say_what_next(suite, plan, home, result.folder)
    if result.interrupted:
        say("interrupted: the same command continues where it stopped")
        return Exit.INTERRUPTED
    if status == {"incompatible"}:
        say("nothing to run: no cell can run; `bdbench run --plan` says why")
        return Exit.NOTHING_TO_RUN
    if result.errors:
        # What a user can mend is told apart from what broke by itself.
        bad_input = any(error["type"] != "Crash" for error in result.errors.values())
        return Exit.BAD_INPUT if bad_input else Exit.SOME_CELLS_FAILED
    return Exit.OK


def _say_what_next(suite: str, plan: Plan, home: Home, folder: Path) -> None:
    from bdbench.results.statistics import MIN_SEEDS  # noqa: PLC0415 -- brings in numpy

    name = shlex.quote(plan.resolved.suite.name)
    option = "" if home == resolve_home() else f" --home {shlex.quote(str(home.path))}"
    commands = {
        f"bdbench ui{option}": "every run, metric and prediction, in MLflow",
        f"bdbench report {name}{option}": "one page with everything, for a browser",
        f"bdbench leaderboard {name} --markdown{option}": "this table, for elsewhere",
    }
    if len(plan.resolved.suite.seeds) < MIN_SEEDS:
        more = f"bdbench run {shlex.quote(suite)} --seeds 0,1,2{option}"
        commands[more] = "three seeds, as a comparison needs"
    width = max(map(len, commands))
    lines = (f"  {command:<{width}}  {what}" for command, what in commands.items())
    say("\n".join(["", "What next:", *lines, f"Records: {folder}"]))


def _say_errors(result: RunResult, plan: Plan) -> None:
    """Each error once, with the first stage that it ended and how many others."""
    from bdbench.api.errors import error_from_dict  # noqa: PLC0415 -- only where it failed

    stages: dict[str, list[str]] = {}
    for key, error in result.errors.items():
        stages.setdefault(str(error_from_dict(dict(error))), []).append(key)
    for text, (key, *others) in stages.items():
        stage = plan.stages[key]
        more = f" and {len(others)} more" if others else ""
        say(f"error: {stage.kind} ({stage.label}){more}: {text}")
        if wants_debug() and result.errors[key].get("traceback"):
            say(result.errors[key]["traceback"])


# --- the plan ---------------------------------------------------------------------------------


def _show_plan(plan: Plan, home: Home, *, as_json: bool) -> int:
    stored = Store(home.store).keys()
    missing = plan.missing(stored)
    kinds: dict[str, int] = {}
    for stage in missing.values():
        kinds[stage.kind] = kinds.get(stage.kind, 0) + 1
    counts = plan.count_cells(stored)
    if as_json:
        echo_json(_plan_document(plan, stored, kinds))
    else:
        _print_plan(plan, stored, kinds)
    return Exit.NOTHING_TO_RUN if set(counts) == {"incompatible"} else Exit.OK


def _plan_document(plan: Plan, stored: set[str], kinds: dict[str, int]) -> dict[str, Any]:
    from bdbench.results.collect import cell_id  # noqa: PLC0415 -- only for JSON

    return {
        "schema": "bdbench.plan/1",
        "suite": plan.resolved.suite.name,
        "stages_to_run": kinds,
        "cells": [
            {
                "cell_id": cell_id(cell),
                "dataset": cell.dataset.label,
                "model": cell.model.label,
                "attack": cell.attack.label,
                "defense": cell.defense.label,
                "seed": cell.seed,
                "status": plan.status(cell, stored),
                "reason": cell.reason,
                "needs": cell.defense.needs.describe(),
            }
            for cell in plan.cells
        ],
    }


PLAN_LINES = 200
"""Longer plans are summed up; ``--json`` has every cell."""


def _print_plan(plan: Plan, stored: set[str], kinds: dict[str, int]) -> None:
    marks = {"cached": "= cached", "to run": "+ to run", "incompatible": "x cannot run"}
    for cell in plan.cells[:PLAN_LINES]:
        status = plan.status(cell, stored)
        reason = f": {cell.reason}" if cell.reason else ""
        click.echo(visible(f"{marks[status]:<13} {cell.label}{reason}"))
    if len(plan.cells) > PLAN_LINES:
        click.echo(f"... and {len(plan.cells) - PLAN_LINES} more cells (all with --json)")
    counts = plan.count_cells(stored)
    cells = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    stages = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"
    click.echo(f"\n{len(plan.cells)} cells: {cells}\nstages to run: {stages}")
