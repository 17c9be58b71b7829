"""What ``bdbench defend`` is at, on stderr: a line that changes on a terminal, else many."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from bdbench.cli.options import say
from bdbench.results.render.cells import visible

__all__ = ["Plain", "make_teller"]


class Plain:
    """Every line by itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to put away."""

    def now(self, text: str) -> None:
        """What begins."""
        say(text)

    def done(self, text: str) -> None:
        """What is to be read later, too."""
        say(text)


class _Live(Plain):
    """What begins takes the place of what began before; the rest stays above it."""

    def __enter__(self) -> Self:
        self._console = Console(stderr=True)
        self._status = self._console.status("")
        self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def now(self, text: str) -> None:
        self._status.update(Text(visible(text)))

    def done(self, text: str) -> None:
        self._console.print(Text(visible(text)))


def make_teller() -> Plain:
    """Live on a terminal, plain elsewhere."""
    return _Live() if sys.stderr.isatty() else Plain()
