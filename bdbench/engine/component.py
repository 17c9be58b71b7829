"""A component at work in its box: answers one question of the host's after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bdbench.api.errors import error_from_dict
from bdbench.engine.box import BoxError
from bdbench.engine.boxed import Act, Boxed, answer
from bdbench.engine.boxed_attacks import ATTACK_ACTS
from bdbench.engine.boxed_defenses import DEFENSE_ACTS
from bdbench.engine.boxed_metrics import METRIC_ACTS
from bdbench.host.catalog import Host

__all__ = ["Component", "result_of"]

ACTS: Mapping[str, Act] = {**ATTACK_ACTS, **DEFENSE_ACTS, **METRIC_ACTS}


class Component:
    """A component at work, wherever that is.

    Args:
        root: The box.
        host: Brings it.
    """

    def __init__(self, root: Path, host: Host) -> None:
        self._root = root
        self._host = host
        self._boxed: Boxed | None = None

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """What came of a question: ``result`` and ``cost`` (so far), or ``error``."""
        if self._boxed is None:
            self._boxed = Boxed(question["setting"], self._root, self._host)
        return answer(self._boxed, question, ACTS)


def result_of(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer, or the error that it tells of.

    Raises:
        BdbenchError: The component raised it; where, stands in its notes.
        BoxError: The component crashed.
    """
    told = found.get("error")
    if told is None:
        return found
    if told.get("type") == "Crash":
        raise BoxError(told)
    error = error_from_dict(told)
    error.add_note(str(told.get("traceback", "")))
    raise error
