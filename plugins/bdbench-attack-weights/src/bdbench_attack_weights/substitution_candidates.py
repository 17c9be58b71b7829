"""Which words may stand in for which: from a file, or neighbours among word embeddings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.feature_extraction.text import (  # type: ignore[import-untyped]
    ENGLISH_STOP_WORDS,
)

from bdbench.api import InputError

__all__ = ["Candidates", "read_synonyms"]

_SHORTEST = 3


class Candidates:
    """For each token number, the token numbers that may stand in its place, itself first.

    Only whole words take part: lower-case letters, at least three, one token, no function word
    (scikit-learn's English list), and as a word of its own in the text, not the beginning of a
    longer one or of a contraction. All others have themselves as the only candidate.

    Args:
        tokenizer: The model's.
        embeddings: Its word embeddings, shape [tokens, width].
        count: Candidates of a word, itself included.
        synonyms: Candidates by word; None for the nearest neighbours by cosine. They are not
            always synonyms: words that stand in like contexts, antonyms among them.
    """

    def __init__(
        self,
        tokenizer: Any,
        embeddings: torch.Tensor,
        count: int,
        synonyms: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        size = len(embeddings)
        pieces = {number: piece for piece, number in tokenizer.get_vocab().items()}
        words, inner = _sort_vocabulary(pieces, set(tokenizer.all_special_ids))
        self.words = words
        self._numbers = {word: number for number, word in words.items()}
        self._pool = torch.tensor(sorted(words), dtype=torch.long)
        self._is_word = torch.zeros(size, dtype=torch.bool)
        self._is_word[self._pool] = True
        self._joins = torch.zeros(size, dtype=torch.bool)
        self._joins[torch.tensor(sorted(inner), dtype=torch.long)] = True
        self._known = torch.zeros(size, dtype=torch.bool)
        self._table = torch.arange(size).unsqueeze(1).repeat(1, count)
        self._synonyms = synonyms
        self._directions = torch.nn.functional.normalize(embeddings[self._pool], dim=1)

    def of(self, ids: torch.Tensor) -> torch.Tensor:
        """The candidates at each position.

        Args:
            ids: Token numbers of texts, shape [n, tokens], on the CPU.

        Returns:
            Token numbers, shape [n, tokens, count]; where there are fewer candidates, and where
            nothing may be substituted, the token's own number fills the rest.
        """
        joined = torch.zeros_like(ids, dtype=torch.bool)
        joined[:, :-1] = self._joins[ids[:, 1:]]
        free = self._is_word[ids] & ~joined
        self._learn(torch.unique(ids[free]))
        own = ids.unsqueeze(2).expand(*ids.shape, self._table.shape[1])
        return torch.where(free.unsqueeze(2), self._table[ids], own)

    def _learn(self, ids: torch.Tensor) -> None:
        """Fills the table for the words that have not come up yet."""
        new = ids[~self._known[ids]]
        self._known[new] = True
        if self._synonyms is not None:
            for number in new.tolist():
                named = self._synonyms.get(self.words[number], ())
                found = [self._numbers[word] for word in named if word in self._numbers]
                others = [other for other in dict.fromkeys(found) if other != number]
                others = others[: self._table.shape[1] - 1]
                self._table[number, 1 : 1 + len(others)] = torch.tensor(others, dtype=torch.long)
            return
        count = min(self._table.shape[1], len(self._pool))
        for part in torch.split(new, 1024):
            rows = torch.searchsorted(self._pool, part)
            similar = self._directions[rows] @ self._directions.T
            similar[torch.arange(len(part)), rows] = torch.inf  # itself first
            self._table[part, :count] = self._pool[similar.topk(count, dim=1).indices]


def read_synonyms(path: Path) -> dict[str, list[str]]:
    """The content of a file of synonyms.

    Raises:
        InputError: It cannot be read, or is not an object of lists of words.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad_file(path, str(error).partition("\n")[0]) from error
    if not isinstance(content, dict) or not content:
        raise _bad_file(path, f"a {type(content).__name__}, or nothing in it")
    for word, others in content.items():
        if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
            raise _bad_file(path, f"{others!r} for {word!r}")
    return content


def _bad_file(path: Path, found: str) -> InputError:
    return InputError(
        "the file of synonyms cannot be used",
        where=str(path),
        found=found,
        expected='JSON of the form {"film": ["movie", "picture"]}',
        next="mend the file, or leave `synonyms` out for the model's own neighbours",
    )


def _sort_vocabulary(
    pieces: Mapping[int, str], special: set[int]
) -> tuple[dict[int, str], set[int]]:
    """The whole words of a vocabulary by number, and the tokens that go on with a word.

    Word pieces mark what goes on with a word ("##ing"), the other kinds of tokenizers mark what
    begins one, by a character that stands for the space before it.
    """
    begins = next(
        (mark for mark in ("\u0120", "\u2581") if any(p.startswith(mark) for p in pieces.values())),
        "",
    )
    words, inner = {}, set()
    for number, piece in pieces.items():
        if number in special:
            continue
        text = piece.removeprefix(begins)
        starts = not begins or piece.startswith(begins)
        if (
            text[:1] in {"'", "\u2019"}
            or piece.startswith("##")
            or (not starts and text[:1].isalnum())
        ):
            inner.add(number)
        elif starts and _is_content_word(text):
            words[number] = text
    return words, inner


def _is_content_word(text: str) -> bool:
    return (
        len(text) >= _SHORTEST
        and text.isascii()
        and text.isalpha()
        and text.islower()
        and text not in ENGLISH_STOP_WORDS
    )
