"""What is granted, and how much of it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

__all__ = ["Granted"]

T = TypeVar("T")


class Granted(tuple[T, ...]):  # noqa: SLOT001 -- a tuple has no room for slots
    """A tuple that says how many of its items were taken; to ask for its length takes none.

    Args:
        items: What is granted.
        taken: Told the number of different items taken so far, each time that it grows.
    """

    _taken: Callable[[int], None]
    _places: set[int]

    def __new__(cls, items: Iterable[T], taken: Callable[[int], None]) -> Self:
        """A tuple of the items, none of them taken."""
        made = super().__new__(cls, items)
        made._taken = taken
        made._places = set()
        return made

    def __iter__(self) -> Iterator[T]:
        """Takes each item when it comes to it."""
        for place in range(len(self)):
            yield self[place]

    def __getitem__(self, place: Any) -> Any:
        """Takes one item, or those of a slice."""
        found = super().__getitem__(place)
        places = range(len(self))[place]
        before = len(self._places)
        self._places.update(places if isinstance(places, range) else (places,))
        if len(self._places) > before:
            self._taken(len(self._places))
        return found
