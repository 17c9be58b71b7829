"""``bdbench compare``: two defenses, or two runs, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bdbench.api import InputError
from bdbench.cli.finished import find_comparison
from bdbench.cli.options import as_json, common, echo_json, home_option, say
from bdbench.home import Home, resolve_home
from bdbench.results.render.cells import head, interval, number, probability, visible
from bdbench.results.render.words import GATED
from bdbench.results.runs import latest_run, read_records
from bdbench.store.objects import Store

if TYPE_CHECKING:
    from bdbench.results.contrast import Finished

__all__ = ["compare"]

CHANGES = 40
"""More changes than this are counted only; ``--json`` has all."""
TESTS = (
    "[low, high]: 95 % interval. p: paired by seed and test row, Holm-corrected over the table; "
    "* below .05."
)


@click.command(
    "compare", epilog="Exit codes: 0 ok, 4 no such defense or run. A difference is no failure."
)
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@click.option("--run", "name", metavar="[SUITE|RUN]", help="Defenses of this run, not the newest.")
@home_option
@as_json
@common
def compare(one: str, other: str, name: str | None, home: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Compare A and B: two defenses of the newest run (or of --run), or two runs or suites.

    For defenses: both under every attack, their difference, and who wins. For runs: which cells
    both have, what they were made with that differs, and which values changed by more than
    chance.
    """
    from bdbench.results.contrast import contrast_defenses, contrast_runs  # noqa: PLC0415 -- numpy

    place = resolve_home(home)
    folders = _runs(place, one, other, name)
    if folders:
        before, after = (_read(place, folder.name) for folder in folders)
        data = contrast_runs(before, after)
    else:
        data = contrast_defenses(_read(place, name), one, other)
    if as_json:
        echo_json(data)
    else:
        lines = _show_runs(data) if folders else _show_defenses(data)
        click.echo("\n".join(visible(line) for line in lines))
    return 0


def _runs(home: Home, one: str, other: str, name: str | None) -> list[Path]:
    """The folders of two runs, if A and B name such; empty if they are defenses.

    Raises:
        InputError: They are neither.
    """
    folder, comparison = find_comparison(home, name)
    known = list(dict.fromkeys(row["defense"] for row in comparison["rows"]))
    found = f"{one} and {other}"
    if one == other:
        raise InputError("A and B are the same", where="compare", found=found)
    if {one, other} <= set(known):
        return []
    if name is None:
        try:
            folders = [latest_run(home, item) for item in (one, other)]
        except InputError:
            folders = []
        if folders and folders[0] == folders[1]:
            raise InputError("A and B are the same run", where="compare", found=folders[0].name)
        if folders:
            return folders
    raise InputError(
        "A and B are not two defenses of the run" + ("" if name else ", and not two runs"),
        where=f"compare, run {folder.name}",
        found=found,
        expected=f"two of its defenses: {', '.join(known)}"
        + ("" if name else "; or names of suites or runs"),
        next="`bdbench leaderboard` shows the newest run" if name is None else "name two of these",
    )


def _read(home: Home, name: str | None) -> Finished:
    from bdbench.results.contrast import Finished  # noqa: PLC0415
    from bdbench.results.rows import gather_rows  # noqa: PLC0415

    folder, comparison = find_comparison(home, name)
    records = read_records(folder)
    rows, notes = gather_rows(records, Store(home.store))
    for note in notes:
        say(f"note: {folder.name}: {note}")
    return Finished(comparison, records, rows)


# --- for people -------------------------------------------------------------------------------


def _show_defenses(data: Mapping[str, Any]) -> Iterator[str]:
    one, other = data["a"], data["b"]
    yield f"{other} against {one}, run {data['run_id']}"
    for role, column in data["columns"].items():
        entries = [entry for entry in data["entries"] if entry["values"][role]]
        if not column or not entries:
            continue
        yield ""
        heads = ["attack", *(f"{name}: {head(column)}" for name in (one, other))]
        lines = [[*heads, f"{other} - {one}", "p", "better"]]
        for entry in entries:
            pair = entry["values"][role]
            mark = f" {GATED}" if _gated(entry) else ""
            names = {"": "-", "a": one, "b": other}
            lines.append(
                [_place(data, entry) + mark, *_numbers(column, pair), names[pair["better"]]]
            )
        yield from _aligned(lines)
    yield from _footer(data)
    for entry in filter(_gated, data["entries"]):
        yield f"{GATED} {_place(data, entry)} is not ranked: {entry['gate']['reason']}."


def _gated(entry: Mapping[str, Any]) -> bool:
    """Whether it is of an attack that does not count."""
    return not entry["gate"]["passed"] and not entry["control"]


def _show_runs(data: Mapping[str, Any]) -> Iterator[str]:
    cells = data["cells"]
    yield f"{data['b']} (B) against {data['a']} (A)"
    yield (
        f"{cells['both']} cells are in both, {cells['same']} of them the very same; "
        f"{len(cells['only_a'])} only in A, {len(cells['only_b'])} only in B"
    )
    yield from _made_with(data["changes"])
    entries = [entry for entry in data["entries"] if not entry["same"]]
    for role, column in data["columns"].items():
        shown = [entry for entry in entries if entry["values"][role]]
        if not column or not shown:
            continue
        yield ""
        lines = [["cells", f"A: {head(column)}", f"B: {head(column)}", "B - A", "p", "better"]]
        for entry in shown:
            pair = entry["values"][role]
            place = f"{_place(data, entry)} · {entry['defense']}"
            lines.append([place, *_numbers(column, pair), pair["better"].upper() or "-"])
        yield from _aligned(lines)
    for entry in entries:
        if entry["status"]["a"] != entry["status"]["b"]:
            was, now = (", ".join(entry["status"][run]) for run in ("a", "b"))
            yield f"{_place(data, entry)} · {entry['defense']}: was {was}, is {now}"
    if any(not entry["paired_by_row"] for entry in entries):
        yield "The runs had other data: values are paired by seed alone."
    if entries:
        yield from _footer(data)


def _made_with(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if changes:
        yield from ("", "made with:")
    for change in changes[:CHANGES]:
        cells = "1 cell" if change["cells"] == 1 else f"{change['cells']} cells"
        yield f"  {change['what']}: {change['a']} -> {change['b']} ({cells})"
    if len(changes) > CHANGES:
        yield f"  and {len(changes) - CHANGES} more (all with --json)"


def _footer(data: Mapping[str, Any]) -> Iterator[str]:
    pairs = [pair for entry in data["entries"] for pair in entry["values"].values() if pair]
    yield ""
    if not pairs:
        yield "No value that means the attack's success or the model's use is in both."
    elif any(pair["difference"]["p"] is not None for pair in pairs):
        yield TESTS
    else:
        yield "Fewer than three seeds: no intervals, and no tests."


def _place(data: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    places = {(item["dataset"], item["model"]) for item in data["entries"]}
    attack = str(entry["attack"])
    return attack if len(places) == 1 else " · ".join((entry["dataset"], entry["model"], attack))


def _numbers(column: Mapping[str, Any], pair: Mapping[str, Any]) -> list[str]:
    """Both means, their difference and its p value."""
    change = pair["difference"]
    texts = [_estimate(column, pair[which]) for which in ("a", "b")]
    p = "-" if change.get("p_holm") is None else probability(change["p_holm"]).removeprefix("p ")
    mark = "*" if change.get("significant") else ""
    return [*texts, _estimate(column, change, signed=True), p.removeprefix("= ") + mark]


def _estimate(
    column: Mapping[str, Any], estimate: Mapping[str, Any], *, signed: bool = False
) -> str:
    text = f"{number(column, estimate['mean'], signed=signed)} {interval(column, estimate)}"
    return text.rstrip()


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of text, the first on the left, numbers on the right."""
    from rich.cells import cell_len  # noqa: PLC0415 -- characters may be two columns wide

    shown = [[visible(text) for text in line] for line in lines]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    for line in shown:
        cells = []
        for at, (text, width) in enumerate(zip(line, widths, strict=True)):
            gap = " " * (width - cell_len(text))
            cells.append(text + gap if at in {0, len(line) - 1} else gap + text)
        yield "  ".join(cells).rstrip()
