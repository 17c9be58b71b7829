"""What a reporter implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

__all__ = ["Reporter"]


class Reporter(ABC):
    """The base of every way to write a comparison down.

    Args:
        config: The validated configuration; store it and do nothing else.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def render(self, comparison: Mapping[str, Any]) -> str:
        """The comparison as text. `comparison` has the schema of `bdbench leaderboard --json`.

        Every name in it may be hostile: escape for the format that is written.
        """
