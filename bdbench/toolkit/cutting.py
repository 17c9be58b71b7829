"""Families whose models read no more than so much of a row."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["CutsRows"]


@runtime_checkable
class CutsRows(Protocol):
    """A model family that can tell which rows it cut: the record then says how many.

    Optional, and found by its method. Two encoded items must be equal (``==``) exactly if the
    model reads the same of both, so that the record can say how many triggers were cut off.
    """

    def is_cut(self, item: Any) -> bool:
        """Whether an encoded item is only a part of its row."""
        ...
