"""Comparisons for a terminal."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bdbench.api import Reporter
from bdbench.results.render.cells import (
    left_out,
    place_rows,
    places,
    rank_among,
    ranks,
    seconds,
    state,
    visible,
)
from bdbench.results.render.fields import Field, fields_of, ranking_fields
from bdbench.results.render.words import (
    GATED,
    beyond_the_victim,
    legend,
    mark_of,
    ranking_notes,
    row_notes,
    unranked,
)

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["TableReporter", "render_for_terminal"]

Row = Mapping[str, Any]

WIDTH = 120
NARROW = 72
"""A terminal of fewer columns than this breaks the lines itself."""
GAP = 2
NAME = 0.15
"""Share of the width that a name may take before a value is left out for it; longer names are
folded."""
NEVER = ("selection", "isolation")
"""What no terminal has room for; where it keeps a row from being ranked, that is said below."""
# Blue and orange are told apart by all kinds of colour vision, on light and on dark ground.
STYLES = {"better": "color(33)", "worse": "color(172)", "": ""}


class TableReporter(Reporter):
    """A table for a terminal, at most 120 columns wide."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """Plain text without colours: what goes to a pipe or a file."""
        return _render(comparison, WIDTH, None)


def render_for_terminal(comparison: Mapping[str, Any]) -> str:
    """The table for standard output as it is now: its width, and colours if it shows them.

    Plain where it is no terminal, and where `NO_COLOR` is set.
    """
    from rich.console import Console  # noqa: PLC0415 -- not needed by the other formats

    probe = Console(file=sys.stdout)
    if not probe.is_terminal:
        return _render(comparison, WIDTH, None)
    colours = None if probe.no_color else probe.color_system
    return _render(comparison, max(NARROW, min(WIDTH, probe.width)), colours)


def _render(comparison: Mapping[str, Any], width: int, colours: Any) -> str:
    """Text of at most `width` columns, for a terminal with these colours (None: without)."""
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    file = io.StringIO()
    console = Console(
        width=width,
        file=file,
        color_system=colours,
        force_terminal=colours is not None,
        legacy_windows=False,
        # `NO_COLOR` was heard above; here it would let bold and dim through.
        no_color=False,
    )

    def say(notes: Iterable[str]) -> None:
        for note in notes:
            console.print(Text(visible(note)))

    every = fields_of(comparison)
    missing: set[str] = set()
    intervals = False
    of_rankings: dict[str, None] = {}
    for place in places(comparison):
        rows = place_rows(comparison, place)
        fields = _fitting(every, rows, width)
        missing |= {field.name for field in every[len(fields) :]}
        intervals |= any(field.intervals for field in fields)
        console.print(_results(comparison, rows, fields, width))
        say(row_notes(rows))
        for ranking in comparison["rankings"]:
            if (ranking["dataset"], ranking["model"]) == place:
                console.print()
                ranked, without = _ranking(comparison, ranking, width)
                console.print(ranked)
                of_rankings |= dict.fromkeys(without)
                say(ranking_notes(comparison, ranking))
        console.print()
    say(legend(comparison, intervals=intervals))
    notes = [*comparison["notes"], *beyond_the_victim(comparison["rows"])]
    if comparison["rows"]:
        names = ", ".join([*(field.name for field in every if field.name in missing), *NEVER])
        notes.append(f"no room here, but in html, markdown, csv and json: {names}.")
    if of_rankings:
        names = ", ".join(of_rankings)
        notes.append(f"no room in the rankings here, but in html, markdown and json: {names}.")
    say(f"- {note}" for note in [*notes, left_out(comparison)] if note)
    # Rich pads lines to the width of the table.
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().split("\n")[:-1])


# --- results ----------------------------------------------------------------------------------


def _fitting(fields: Sequence[Field], rows: Sequence[Row], width: int) -> list[Field]:
    """As many fields, from the first, as leave room for names."""
    left = width - _width("[9]", []) - _width("seeds", map(state, rows))
    left -= GAP + _width("seconds", []) + GAP
    for key in ("attack", "defense"):
        left -= min(int(NAME * width), _width(key, (visible(row[key]) for row in rows))) + GAP
    return _leading(fields, rows, left)


def _leading(fields: Sequence[Field], rows: Sequence[Row], left: int) -> list[Field]:
    """The first of the fields, as many as have room."""
    chosen: list[Field] = []
    for field in fields:
        left -= _width(visible(field.head), _texts(field, rows)) + GAP
        if left < 0:
            break
        chosen.append(field)
    return chosen


def _results(
    comparison: Mapping[str, Any], rows: Sequence[Row], fields: Sequence[Field], width: int
) -> Table:
    from rich.text import Text  # noqa: PLC0415

    own = ranks(comparison, list(rows))
    reasons = unranked(rows)
    marks = [mark_of(row, rank, reasons) for row, rank in zip(rows, own, strict=True)]
    table = _table(" · ".join((rows[0]["dataset"], rows[0]["model"])))
    columns = [_texts(field, rows) for field in fields]
    heads = [visible(field.head) for field in fields]
    widths = [_width(name, texts) for name, texts in zip(heads, columns, strict=True)]
    times = [seconds(row["cost"]["seconds"]) for row in rows]
    states = [state(row) for row in rows]
    fixed = [_width("#", marks), *widths, _width("seconds", times), _width("seeds", states)]
    names = _name_widths(rows, width - sum(fixed) - GAP * (len(fixed) + 1))
    table.add_column("#", justify="right", no_wrap=True, width=fixed[0])
    table.add_column("attack", overflow="fold", width=names[0])
    table.add_column("defense", overflow="fold", width=names[1])
    for name, size in zip([*heads, "seconds", "seeds"], fixed[1:], strict=True):
        table.add_column(Text(name), justify="right", no_wrap=True, width=size)
    before = None
    for index, row in enumerate(rows):
        if before not in {None, row["attack"]}:
            table.add_section()
        gated = f" {GATED}" if not row["gate"]["passed"] and not row["control"] else ""
        attack = "" if row["attack"] == before else visible(row["attack"]) + gated
        plain = map(Text, (marks[index], attack, visible(row["defense"])))
        values = [
            Text(texts[index], style=STYLES[field.cell(row).tone])
            for field, texts in zip(fields, columns, strict=True)
        ]
        last = map(Text, (times[index], states[index]))
        dimmed = not row["ranked"] and not row["control"]
        table.add_row(*plain, *values, *last, style="dim" if dimmed else _best(own[index]))
        before = row["attack"]
    return table


def _best(rank: str) -> str:
    return "bold" if rank.rstrip("=") == "1" else ""


# --- rankings ---------------------------------------------------------------------------------


def _ranking(
    comparison: Mapping[str, Any], ranking: Mapping[str, Any], width: int
) -> tuple[Table, list[str]]:
    """The table, and the names of the columns that had no room."""
    from rich.text import Text  # noqa: PLC0415

    table = _table("ranking")
    entries = ranking["defenses"]
    defenses = [visible(entry["defense"]) for entry in entries]
    attacks = [visible(entry["worst_attack"]["attack"]) for entry in entries]
    room = [min(_width("worst attack", names), width // 5) for names in (defenses, attacks)]
    every = list(ranking_fields(comparison))
    fields = _leading(every, entries, width - _width("9=", []) - sum(room) - 2 * GAP)
    with_attack = len(fields) == len(every)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("defense", overflow="fold", max_width=room[0])
    for field in fields:
        table.add_column(Text(visible(field.head)), justify="right", no_wrap=True)
    if with_attack:
        table.add_column("worst attack", overflow="fold", max_width=room[1])
    columns = [_texts(field, entries) for field in fields]
    means = [entry["mean_rank"] for entry in entries]
    for index, defense in enumerate(defenses):
        values = [texts[index] for texts in columns]
        last = attacks[index : index + 1] if with_attack else []
        table.add_row(rank_among(means[index], means), *map(Text, [defense, *values, *last]))
    without = (
        [] if with_attack else [*(field.name for field in every[len(fields) :]), "worst attack"]
    )
    return table, without


# --- layout -----------------------------------------------------------------------------------


def _table(title: str) -> Table:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    return Table(
        title=Text(visible(title), style="bold"),
        title_justify="left",
        box=box.HORIZONTALS,
        show_edge=False,
        # Between two columns the box itself has a blank.
        padding=(0, GAP - 1, 0, 0),
        pad_edge=False,
    )


def _texts(field: Field, rows: Sequence[Row]) -> list[str]:
    """The cells of a column; numbers line up however long what follows them is."""
    cells = [field.cell(row) for row in rows]
    mores = [_tight(visible(cell.more)) for cell in cells]
    size = _width("", mores)
    return [
        f"{_tight(cell.text)}{_padded(more, size)}" for cell, more in zip(cells, mores, strict=True)
    ]


def _padded(text: str, size: int) -> str:
    return text + " " * (size - _width("", [text]))


def _tight(text: str) -> str:
    """Without the zero before the point, as in ``+.012``."""
    return re.sub(r"(?<![\d.])0\.", ".", text)


def _width(head: str, texts: Iterable[str]) -> int:
    """Columns of a terminal that the longest takes."""
    from rich.cells import cell_len  # noqa: PLC0415

    return max(map(cell_len, [head, *texts]))


def _name_widths(rows: Sequence[Row], room: int) -> tuple[int, int]:
    """How the room for names is shared between attack and defense."""
    attack, defense = (
        _width(key, (visible(row[key]) + extra for row in rows))
        for key, extra in (("attack", f" {GATED}"), ("defense", ""))
    )
    if attack + defense <= room:
        return attack, defense
    half = room // 2
    if attack <= half:
        return attack, room - attack
    return (room - defense, defense) if defense <= half else (half, room - half)
