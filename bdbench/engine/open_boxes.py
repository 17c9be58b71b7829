"""Boxes without walls: the component acts in the host's own process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bdbench.engine.box import Session
from bdbench.engine.component import Component, result_of
from bdbench.host.catalog import Host

__all__ = ["OpenBoxes"]


class OpenBoxes:
    """Lets components act in this process: for debuggers and tests. Nothing is kept from them.

    Args:
        host: Brings them.
    """

    isolation = "none"

    def __init__(self, host: Host) -> None:
        self._host = host

    @contextmanager
    def open(self, folder: Path, readable: Sequence[Path]) -> Iterator[Session]:  # noqa: ARG002
        """No process: what acts, acts here."""
        yield _Here(Component(folder, self._host))


class _Here:
    used: Mapping[str, float] = MappingProxyType({})

    def __init__(self, component: Component) -> None:
        self._component = component

    def end(self) -> None:
        """There is no process to end."""

    def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        found = dict(result_of(self._component.answer(question)))
        # What this process used of its processor, its own meter has counted already.
        found["cost"] = {**found["cost"], "cpu_seconds": 0.0}
        return found
