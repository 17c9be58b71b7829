"""Comparisons for a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from bdbench.api import Reporter
from bdbench.results.render.cells import (
    head,
    left_out,
    number,
    places,
    shown_columns,
    state,
    visible,
)

__all__ = ["TableReporter"]


class TableReporter(Reporter):
    """A table for a terminal, at most 120 columns wide."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """Plain text with box drawing; colours are left to the terminal's own."""
        from rich.console import Console  # noqa: PLC0415 -- not needed by the other formats
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(width=120, file=io.StringIO(), color_system=None)
        columns = shown_columns(comparison)
        for place in places(comparison):
            table = Table(title=Text(visible(" · ".join(place))), title_justify="left")
            table.add_column("attack")
            table.add_column("defense")
            for column in columns:
                table.add_column(Text(visible(head(column))), justify="right")
            table.add_column("seeds", justify="right")
            before = None
            for row in comparison["rows"]:
                if (row["dataset"], row["model"]) != place:
                    continue
                if before not in {None, row["attack"]}:
                    table.add_section()
                values = [number(column, row["values"][column["name"]]) for column in columns]
                attack = "" if row["attack"] == before else visible(row["attack"])
                cells = [attack, visible(row["defense"]), *values, state(row)]
                table.add_row(*map(Text, cells))
                before = row["attack"]
            console.print(table)
        for note in filter(None, [*comparison["notes"], left_out(comparison)]):
            console.print(Text(f"* {visible(note)}"))
        file = console.file
        return file.getvalue() if isinstance(file, io.StringIO) else ""
