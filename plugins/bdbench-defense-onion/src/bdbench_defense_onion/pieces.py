"""Texts that are too long to be judged as a whole, cut between words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bdbench.toolkit.words import word_spans

__all__ = ["Piece"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of words of a text.

    Attributes:
        owner: The number of the text.
        first: The number of its first word there.
        text: Without whitespace around it.
    """

    owner: int
    first: int
    text: str

    def words(self) -> list[str]:
        """Its words, each by itself."""
        return [self.text[start:end] for start, end in word_spans(self.text)]

    def split(self, starts: Sequence[int]) -> list[Piece]:
        """Pieces that begin at these words, the first of which is 0."""
        spans = word_spans(self.text)
        ends = [*starts[1:], len(spans)]
        return [
            Piece(self.owner, self.first + start, self.text[spans[start][0] : spans[end - 1][1]])
            for start, end in zip(starts, ends, strict=True)
        ]

    def halves(self) -> list[Piece]:
        """Both halves, by words."""
        return self.split([0, len(word_spans(self.text)) // 2])
