"""Randomness by purpose: one independent stream for each thing that is random."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

__all__ = ["SeedStream"]


@dataclass(frozen=True, slots=True)
class SeedStream:
    """A named position in a tree of random streams.

    Two streams with the same root and path give the same numbers on every machine; streams
    that differ in either are independent. Draw per example from
    ``stream.child(example_id)``: the result then depends neither on the batch nor on the order.

    Attributes:
        root: The seed that the suite names.
        path: The purposes, outermost first.
    """

    root: int
    path: tuple[str, ...] = ()

    def child(self, *names: str | int) -> SeedStream:
        """The stream for a purpose within this one."""
        return SeedStream(self.root, (*self.path, *(str(name) for name in names)))

    def seed(self) -> int:
        """A seed in [0, 2**63), for torch or numpy."""
        # The length before each name keeps ("a", "bc") and ("ab", "c") apart.
        text = f"{self.root}|" + "".join(f"{len(name)}:{name}|" for name in self.path)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def random(self) -> random.Random:
        """A generator of Python's own kind, freshly started."""
        return random.Random(self.seed())  # noqa: S311 -- experiments, not secrets
