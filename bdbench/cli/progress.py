"""Progress of a run, on stderr: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from types import TracebackType
from typing import Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bdbench.api import StageEvent
from bdbench.results.render.cells import visible
from bdbench.suite.plan import Cell, Plan

__all__ = ["make_progress"]

GRID_ROWS = 24
"""A matrix with more rows than this is summed up by stage instead of drawn cell by cell."""

ROLES = {
    "data": ("data",),
    "poison": ("poison",),
    "victim": ("victim",),
    "treated": ("treated",),
    "predictions": ("predictions_clean", "predictions_triggered"),
    "scores": ("scores",),
}
MARKS = {"waiting": "·", "started": "▶", "finished": "✓", "failed": "✗", "cached": "="}


class _Progress:
    """Keeps count; subclasses show it.

    Args:
        plan: What runs.
        stored: What is there already.
    """

    def __init__(self, plan: Plan, stored: set[str]) -> None:
        self.plan = plan
        # Grows by what turns out to be damaged, and is computed anew.
        self.states = dict.fromkeys(plan.missing(stored), "waiting")
        self.began = time.monotonic()
        self.running: dict[str, tuple[str, float]] = {}
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.widest = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to put away."""

    def on_stage(self, event: StageEvent) -> None:
        """Takes note of a change."""
        self.states[event.key] = event.status
        name = f"{event.kind} {event.label}"
        if event.status == "started":
            self.running[event.key] = (name, time.monotonic())
            self.widest = max(self.widest, len(self.running))
        else:
            self.running.pop(event.key, None)
            self.seconds[event.kind].append(event.seconds or 0.0)

    @property
    def done(self) -> int:
        """How many stages are over."""
        return sum(state in {"finished", "failed"} for state in self.states.values())

    def remaining(self) -> float | None:
        """Seconds to go, from how long stages of each kind took in this run; None if unknown."""
        left = 0.0
        for key, state in self.states.items():
            if state in {"finished", "failed"}:
                continue
            times = self.seconds[self.plan.stages[key].kind]
            if not times:
                return None
            gone = time.monotonic() - self.running[key][1] if key in self.running else 0.0
            left += max(0.0, sum(times) / len(times) - gone)
        return left / self.widest


class _Plain(_Progress):
    """One line for each stage that is over."""

    def __enter__(self) -> Self:
        cells = self.plan.cells
        click.echo(f"{len(cells)} cells, {len(self.states)} stages to run", err=True)
        return self

    def on_stage(self, event: StageEvent) -> None:
        super().on_stage(event)
        if event.status in {"finished", "failed"}:
            text = f"[{self.done}/{len(self.states)}] {event.kind} {event.label}: {event.status}"
            click.echo(visible(f"{text} after {event.seconds:.1f} s"), err=True)


class _Live(_Progress):
    """The matrix, drawn anew a few times a second."""

    def __enter__(self) -> Self:
        console = Console(stderr=True)
        self.live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=4, transient=False
        )
        self.live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.__exit__(kind, error, trace)

    def _draw(self) -> Group:
        body = self._grid() if len(self.plan.cells) <= GRID_ROWS else self._sums()
        return Group(body, Text(self._line()))

    def _line(self) -> str:
        gone = time.monotonic() - self.began
        left = self.remaining()
        names = "; ".join(visible(name) for name, _ in list(self.running.values())[:4])
        estimate = "" if left is None or not self.running else f", about {_clock(left)} to go"
        return f"{self.done}/{len(self.states)} stages, {_clock(gone)} gone{estimate}" + (
            f"\nnow: {names}" if names else ""
        )

    def _grid(self) -> Table:
        table = Table(box=None, padding=(0, 1))
        for title in ("attack", "defense", "seed", *ROLES):
            table.add_column(title, justify="left" if title in {"attack", "defense"} else "center")
        for cell in self.plan.cells:
            marks = (self._mark(cell, roles) for roles in ROLES.values())
            texts = (visible(cell.attack.label), visible(cell.defense.label), str(cell.seed))
            table.add_row(*map(Text, texts), *map(Text, marks))
        return table

    def _mark(self, cell: Cell, roles: tuple[str, ...]) -> str:
        if cell.reason:
            return "-"
        keys = {cell.stages[role] for role in roles if role in cell.stages}
        if roles == ("treated",) and cell.stages["treated"] == cell.stages["victim"]:
            return " "
        if not keys:
            return " "
        states = {self.states.get(key, "cached") for key in keys}
        for state in ("failed", "started", "waiting", "finished", "cached"):
            if state in states:
                return MARKS[state]
        return " "

    def _sums(self) -> Table:
        table = Table(box=None, padding=(0, 1))
        for title in ("stage", "done", "running", "failed", "of"):
            table.add_column(title, justify="left" if title == "stage" else "right")
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for key, state in self.states.items():
            counts[self.plan.stages[key].kind][state] += 1
        for kind, count in counts.items():
            numbers = (count["finished"], count["started"], count["failed"], count.total())
            table.add_row(kind, *map(str, numbers))
        return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def make_progress(plan: Plan, stored: set[str], display: str) -> _Progress:
    """The view for ``--display``: ``auto`` is live on a terminal and plain elsewhere."""
    if display == "none":
        return _Progress(plan, stored)
    live = display == "live" or (display == "auto" and sys.stderr.isatty())
    return _Live(plan, stored) if live else _Plain(plan, stored)
