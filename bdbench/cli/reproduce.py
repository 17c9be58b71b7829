"""``bdbench reproduce``: a run once more, from its own record, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bdbench.api import InputError
from bdbench.cli.exits import Exit
from bdbench.cli.options import as_json, common, echo_json, home_option, say
from bdbench.cli.replan import suite_of
from bdbench.home import Home, resolve_home
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.results.differences import (
    by_place,
    common_changes,
    count_changes,
    values_that_differ,
)
from bdbench.results.render.cells import visible
from bdbench.results.runs import latest_run, read_comparison, read_records
from bdbench.store.objects import Store
from bdbench.store.scratch import scratch
from bdbench.suite.plan import Cell, Plan, Wanted
from bdbench.suite.planning import build_plan

if TYPE_CHECKING:
    from bdbench.api import Executor
    from bdbench.execution.run import RunResult
    from bdbench.results.records import CellRecord

__all__ = ["reproduce"]

LINES = 40
"""More differences than this are counted only; ``--json`` has all."""


@click.command(
    "reproduce",
    epilog="Exit codes: 0 every value is equal, 1 some value differs or a cell ended otherwise, "
    "2 interrupted, 4 no such run, or its components or data are not here.",
)
@click.argument("run", metavar="[SUITE|RUN]", required=False)
@home_option
@click.option(
    "--fresh/--cached",
    default=True,
    show_default=True,
    help="Compute everything in an empty temporary home; or take what is stored and is still "
    "current, which shows what a change of code or plugins makes stale, and no more.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Keep the new home here instead of removing it.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Stages at a time.")
@click.option(
    "--display",
    type=click.Choice(["auto", "live", "plain", "none"]),
    default="auto",
    show_default=True,
    help="How progress is shown, on stderr.",
)
@as_json
@common
def reproduce(
    run: str | None,
    home: str | None,
    fresh: bool,  # noqa: FBT001 -- click passes options by name
    keep: Path | None,
    workers: int | None,
    display: str,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run RUN (the newest, or the newest of a suite) again from its own record.

    No suite's file is needed. Afterwards: what the cells were made with that differs, and every
    value that is not equal to the last digit. No run is added to the home or to MLflow.
    """
    place = resolve_home(home)
    folder = latest_run(place, run)
    before = read_records(folder)
    # What is only checked is not published.
    host = Host(disabled=["bdbench:mlflow"])
    plan = _plan(folder, before, host)
    with _new_home(place, keep, fresh=fresh) as new:
        result = _run(plan, host, new, workers, display)
        common = _common(folder, result.folder, len(before))
    if result.interrupted:
        say("interrupted: nothing was compared")
        return Exit.INTERRUPTED
    data = {
        "schema": "bdbench.reproduction/1",
        "run_id": folder.name,
        "fresh": fresh,
        "computed": result.computed,
        **_compare(before, result.records, common),
    }
    if as_json:
        echo_json(data)
    else:
        click.echo("\n".join(visible(line) for line in _show(data)))
    differs = data["values"] or data["statuses"]
    return Exit.SOME_CELLS_FAILED if differs else Exit.OK


def _plan(folder: Path, records: Sequence[CellRecord], host: Host) -> Plan:
    """The plan of the cells that a run had."""
    if not any(record.status == "success" for record in records):
        raise InputError(
            "no cell of this run has a result to reproduce",
            where=str(folder),
            next="`bdbench leaderboard` shows what became of it",
        )
    # A run may have had only some cells of its suite.
    wanted = Wanted(
        datasets={record.dataset.label for record in records},
        models={record.model.label for record in records},
        attacks={record.attack.label for record in records},
        defenses={record.defense_label for record in records},
        seeds={record.seed for record in records},
    )
    plan = build_plan(suite_of(folder, host), wanted)
    had = by_place(records)
    plan.cells = [cell for cell in plan.cells if _place(cell) in had]
    return plan


def _place(cell: Cell) -> tuple[str, str, str, str, int]:
    """A cell by its names in the suite, as `by_place` has records."""
    names = (cell.dataset.label, cell.model.label, cell.attack.label, cell.defense.label)
    return (*names, cell.seed)


@contextmanager
def _new_home(home: Home, keep: Path | None, *, fresh: bool) -> Iterator[Home]:
    """A home of its own for the new run: empty, or with the store of the old one."""
    if keep and keep.exists():
        raise InputError(
            "the folder for the new home is there already",
            where=f"--keep {keep}",
            expected="a folder that does not exist yet",
            next="name another, or remove it",
        )
    with ExitStack() as ending:
        try:
            if keep:
                keep.mkdir(parents=True)
                path = keep.absolute()
            else:
                # In the store: it is large, and temporary folders elsewhere are often in memory.
                store = Store(home.store)
                store.sweep()
                path = ending.enter_context(scratch(store.temporary, "reproduce-"))
        except OSError as error:
            raise InputError(
                "the folder for the new home cannot be made",
                where=f"--keep {keep}" if keep else str(home.store),
                found=error.strerror or str(error),
                expected="a place that can be written to",
                next="name another with --keep",
            ) from error
        if not fresh:
            (path / "store").symlink_to(home.store)
        yield Home(path)


def _run(plan: Plan, host: Host, home: Home, workers: int | None, display: str) -> RunResult:
    from bdbench.cli.progress import make_progress  # noqa: PLC0415 -- rich
    from bdbench.execution.run import run_plan  # noqa: PLC0415

    component = host.find("executor", "bdbench/local", where="reproduce")
    values = {} if workers is None else {"workers": workers}
    executor: Executor = host.load_class(component)(
        configure(host, component, values, where="--workers")
    )
    with make_progress(plan, Store(home.store).keys(), display) as progress:
        return run_plan(plan, host, home, executor, progress.on_stage)


def _compare(
    before: Sequence[CellRecord], after: Sequence[CellRecord], common: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What differs, as plain data; `common` differs in what all cells share."""
    old, new = by_place(before), by_place(after)
    pairs = [(old[place], new[place]) for place in old if place in new]
    counted = count_changes(
        (one, other) for one, other in pairs if one.status == other.status == "success"
    )
    return {
        "cells": len(old),
        "compared": sum(len(one.metrics) for one, other in pairs),
        "same_identity": sum(one.cell_id == other.cell_id for one, other in pairs),
        "changes": [
            *common,
            *(
                {"what": item.what, "before": item.before, "after": item.after, "cells": count}
                for item, count in counted.items()
            ),
        ],
        "statuses": [
            {"cell": list(place), "before": record.status, "after": now, "reason": reason}
            for place, record in old.items()
            for now, reason in [
                (new[place].status, new[place].reason) if place in new else ("absent", "")
            ]
            if now != record.status
        ],
        "values": [
            {"cell": list(place), "value": name, "before": one, "after": other}
            for place, record in old.items()
            if place in new and record.status == new[place].status == "success"
            for name, one, other in values_that_differ(record, new[place])
        ],
    }


def _common(before: Path, after: Path, cells: int) -> list[dict[str, Any]]:
    """What differs in what all cells share."""
    changes = common_changes(read_comparison(before), read_comparison(after))
    return [
        {"what": change.what, "before": change.before, "after": change.after, "cells": cells}
        for change in changes
    ]


def _show(data: Mapping[str, Any]) -> Iterator[str]:
    how = "anew" if data["fresh"] else "with what is stored"
    yield (
        f"{data['run_id']}, {how}: {data['cells']} cells, {data['compared']} values, "
        f"{data['computed']} stages computed"
    )
    same = data["same_identity"]
    if same < data["cells"]:
        yield f"{data['cells'] - same} cells are not the same by their identity"
    yield from _some(
        "made with",
        [
            f"{item['what']}: {item['before']} -> {item['after']} ({item['cells']} cells)"
            for item in data["changes"]
        ],
    )
    yield from _some(
        "ended otherwise",
        [
            f"{_cell(item)}: was {item['before']}, is {item['after']}. {item['reason']}".rstrip()
            for item in data["statuses"]
        ],
    )
    yield from _some(
        "values",
        [
            f"{_cell(item)}: {item['value']} was {item['before']}, is {item['after']}"
            for item in data["values"]
        ],
    )
    if not data["values"] and not data["statuses"]:
        yield "reproduced: every value is equal"
    else:
        yield f"not reproduced: {len(data['values'])} of {data['compared']} values differ"


def _some(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
    yield from (f"  {line}" for line in lines[:LINES])
    if len(lines) > LINES:
        yield f"  and {len(lines) - LINES} more (all with --json)"


def _cell(item: Mapping[str, Any]) -> str:
    *names, seed = item["cell"]
    return f"{' · '.join(names)} · seed {seed}"
