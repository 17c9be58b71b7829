"""What the tokens of a checkpoint stand for: whole words, pieces of words, marks of the model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import decoders

from bdbench.api import InputError
from bdbench.toolkit.transformers_folder import read_json, reading

__all__ = ["Token", "read_vocabulary"]

# How byte-level BPE and SentencePiece write the space before a word. Where a vocabulary marks
# words so, many of its tokens begin with the mark; elsewhere next to none does.
_BYTE_SPACE, _SPACE = "\u0120", "\u2581"
_LEAST_MARKED = 0.1


@dataclass(frozen=True, slots=True)
class Token:
    """One row of the word embeddings.

    Attributes:
        number: Its token number.
        text: As the tokenizer has it.
        word: The word that it is when it stands alone; empty for the inner piece of a word.
        special: Whether it is a mark of the model, such as ``[CLS]`` or padding.
    """

    number: int
    text: str
    word: str
    special: bool


def read_vocabulary(folder: Path) -> list[Token]:
    """The tokens in ``tokenizer.json``, read as plain data.

    A token counts as a word if it begins one: in WordPiece without the prefix of inner pieces
    (``##``), in byte-level BPE and SentencePiece with their mark of a space.

    Raises:
        InputError: There is no such file, or it is not a tokenizer's.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(
            "the checkpoint has no vocabulary to take words from",
            where=str(folder),
            found="no tokenizer.json",
            expected="a fast tokenizer beside the weights",
            next="save the tokenizer into the folder with `save_pretrained`",
        )
    document = read_json(path)
    with reading(folder):
        try:
            return list(_tokens(document["model"], document.get("added_tokens", ())))
        except (TypeError, AttributeError) as error:
            raise ValueError(f"tokenizer.json: {error}") from error


def _tokens(model: Mapping[str, Any], added: Any) -> Iterator[Token]:
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        pieces = {int(number): str(text) for text, number in vocabulary.items()}
    else:
        pieces = {number: str(text) for number, (text, _) in enumerate(vocabulary)}
    whole = {int(token["id"]): token for token in added}
    mark = _mark(pieces.values())
    for number in sorted(pieces.keys() | whole.keys()):
        if number in whole:
            text = str(whole[number]["content"])
            yield Token(number, text, text, bool(whole[number].get("special")))
        else:
            text = pieces[number]
            word = _word(text, mark, model.get("continuing_subword_prefix"))
            yield Token(number, text, word, special=False)


def _mark(texts: Collection[str]) -> str:
    for mark in (_BYTE_SPACE, _SPACE):
        if sum(text.startswith(mark) for text in texts) > _LEAST_MARKED * len(texts):
            return mark
    return ""


def _word(text: str, mark: str, inner: str | None) -> str:
    if not text.startswith(mark) or (inner and text.startswith(inner)):
        return ""
    if mark == _BYTE_SPACE:  # every character stands for a byte
        decoded: str = decoders.ByteLevel().decode([text])
        return decoded.removeprefix(" ")
    return text.removeprefix(mark)
