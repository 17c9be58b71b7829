"""The tokens of a checkpoint."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from bdbench.api import InputError

__all__ = ["ordinary_tokens", "read_tokenizer"]


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in ``tokenizer.json``; the file is data and cannot hold code.

    Raises:
        InputError: There is no such file, or it is not a tokenizer's.
    """
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


def ordinary_tokens(tokenizer: Tokenizer) -> dict[int, str]:
    """The tokens by number, ascending, but for the model's own marks, such as padding."""
    special = {
        number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special
    }
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    return {
        number: text
        for text, number in sorted(vocabulary.items(), key=lambda item: item[1])
        if number not in special
    }


def _unusable(path: Path, found: str) -> InputError:
    return InputError(
        "there is no vocabulary to take words from",
        where=f"e-pur: {path}",
        found=found,
        expected="a fast tokenizer beside the weights",
        next="save the tokenizer into the folder with `save_pretrained`",
    )
