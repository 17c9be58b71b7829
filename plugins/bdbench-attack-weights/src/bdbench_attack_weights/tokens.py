"""The token that a victim makes of a trigger word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from bdbench.api import InputError

__all__ = ["trigger_tokens"]


def trigger_tokens(folder: Path, words: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the tokens that each word becomes, ascending.

    Usually one; two where a tokenizer tells a word at the start of a text from one after a
    space, as RoBERTa's does.

    Args:
        folder: A checkpoint; its ``tokenizer.json`` is data and cannot hold code.
        words: Trigger words.

    Raises:
        InputError: There is no tokenizer, or a word is not one token, or one that stands for
            all unknown words.
    """
    tokenizer = _read(folder)
    return {word: sorted(set(_tokens(tokenizer, word))) for word in words}


def _tokens(tokenizer: Tokenizer, word: str) -> list[int]:
    special = {
        number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special
    }
    numbers = []
    for before, after in (("", " a"), ("a ", " a"), ("a ", "")):
        encoding = tokenizer.encode(f"{before}{word}{after}", add_special_tokens=False)
        start, end = len(before), len(before) + len(word)
        pieces = [
            place
            for place, (left, right) in enumerate(encoding.offsets)
            if left < end and right > start
        ]
        if len(pieces) != 1 or encoding.ids[pieces[0]] in special:
            shown = " ".join(encoding.tokens[place] for place in pieces)
            raise InputError(
                "a trigger word is not one token of the victim",
                where=f"triggers: {word!r}",
                found=f"{len(pieces)} tokens ({shown}) where it "
                f"{'follows a space' if before else 'begins a text'}",
                expected="one ordinary token, whose embedding is the word's alone",
                next="choose a word that stands in the tokenizer's vocabulary",
            )
        numbers.append(encoding.ids[pieces[0]])
    return numbers


def _read(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise _unusable(path, "no such file")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise _unusable(path, str(error)[:200]) from error
    # The file may still hold those of the last call.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _unusable(path: Path, found: str) -> InputError:
    return InputError(
        "there is no vocabulary to find the trigger's embedding by",
        where=str(path),
        found=found,
        expected="a fast tokenizer beside the weights",
        next="choose a model of the transformers family",
    )
