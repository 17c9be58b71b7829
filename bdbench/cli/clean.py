"""``bdbench clean``: frees disk of what no run would use again."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from bdbench.api import BdbenchError
from bdbench.cli.exits import Exit
from bdbench.cli.options import as_json, common, echo_json, home_option, make_host, say
from bdbench.cli.replan import suite_of
from bdbench.home import resolve_home
from bdbench.host.catalog import Host
from bdbench.results.runs import FinishedRun, finished_runs, read_records
from bdbench.store.objects import CorruptObjectError, Store
from bdbench.suite.planning import build_plan

__all__ = ["clean"]

ASIDE = "set aside as damaged"
DAY = 24 * 3600.0


@click.command("clean", epilog="Exit codes: 0 ok, 4 a mistake in an option.")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    metavar="N",
    help="Of each suite, keep what its newest N runs use.  [default: what any run uses]",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Keep what is younger: a run may be at work on it, or be continued.",
)
@click.option("--apply", is_flag=True, help="Remove it; otherwise only say what could be removed.")
@home_option
@as_json
@common
def clean(keep: int | None, days: float, apply: bool, home: str | None, as_json: bool) -> int:  # noqa: FBT001 -- click passes options by name
    """Remove from the store what no run would use again, and what was set aside as damaged.

    Runs, their records and tables, and MLflow stay as they are. What a run would use is worked
    out with the plugins as they are installed now; what is needed after all is computed anew.
    """
    place = resolve_home(home)
    store = Store(place.store)
    host = make_host()
    used: set[str] = set()
    for run in _kept(finished_runs(place), keep):
        used |= _used_by(run.folder, host)
    counts, sizes = _free(store, store.keys() - used, time.time() - days * DAY, apply=apply)
    counts[ASIDE], sizes[ASIDE] = store.quarantined()
    if apply:
        store.empty_quarantine()
        store.sweep()
    kept = len(store.keys()) - (0 if apply else counts.total() - counts[ASIDE])
    if as_json:
        found = {kind: {"count": counts[kind], "bytes": sizes[kind]} for kind in sorted(+counts)}
        data = {"schema": "bdbench.clean/1", "removed": apply, "found": found, "kept": kept}
        echo_json({**data, "bytes": sizes.total()})
        return Exit.OK
    for kind, size in (+sizes).most_common():
        click.echo(f"{_megabytes(size)}  {kind}: {counts[kind]}")
    click.echo(
        f"{_megabytes(sizes.total())}  {'removed' if apply else 'could be removed'}; "
        f"{kept} stages stay"
    )
    if sizes.total() and not apply:
        say("Nothing was removed: add --apply.")
    return Exit.OK


def _free(
    store: Store, unused: set[str], before: float, *, apply: bool
) -> tuple[Counter[str], Counter[str]]:
    """Removes what is old enough, if it is to be removed; counts and sizes by kind of stage."""
    counts, sizes = Counter[str](), Counter[str]()
    for key in sorted(unused):
        # Another process may have taken or mended it meanwhile.
        with contextlib.suppress(FileNotFoundError, CorruptObjectError):
            kind, size, made = store.room(key)
            if made < before and (not apply or store.remove(key)):
                counts[kind] += 1
                sizes[kind] += size
    return counts, sizes


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10,.1f} MB"


def _kept(runs: Sequence[FinishedRun], keep: int | None) -> Iterator[FinishedRun]:
    """Of each suite the newest runs; `runs` has the newest first."""
    seen: Counter[str] = Counter()
    for run in runs:
        seen[run.suite] += 1
        if keep is None or seen[run.suite] <= keep:
            yield run


def _used_by(folder: Path, host: Host) -> set[str]:
    """What a run would take from the store if it ran again, under the present plugins."""
    try:
        return set(build_plan(suite_of(folder, host)).stages)
    except BdbenchError as error:
        # A plugin or a file is not here now. It may be back: what the records name stays.
        say(f"{folder.name} cannot be planned, so what its records name is kept ({error})")
        return {key for record in read_records(folder) for key in record.stages.values()}
