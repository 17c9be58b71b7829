"""Whether two models count the same tokens: told from the files of their tokenizers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from bdbench.api import InputError

__all__ = ["difference", "read_document", "vocabulary"]

# Each says which number a token has, by itself or with another of them.
_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)


def difference(ours: Path, theirs: Path, first: str, name: str) -> tuple[str, str] | None:
    """In what two tokenizers differ: what the second has and what it was expected to have.

    Every file of tokens that both folders hold is compared. Where they share none, the numbers
    of the tokens are, as far as they can be read. A folder without any such file says nothing
    of its tokenizer, and is not compared.

    Args:
        ours: The first model's folder.
        theirs: The second's.
        first: What messages call the first model.
        name: What they call the second.

    Returns:
        What was found and what was expected, in words; None if they agree.

    Raises:
        InputError: A file cannot be read.
    """
    files = [[file for file in _FILES if (folder / file).is_file()] for folder in (ours, theirs)]
    shared = [file for file in files[0] if file in files[1]]
    for file in shared:
        if _digest(ours / file) != _digest(theirs / file) and (
            _content(ours / file, first) != _content(theirs / file, name)
        ):
            return f"another {file}", f"the {file} of {first}"
    if shared or not all(files):
        return None
    numbers = vocabulary(ours, first), vocabulary(theirs, name)
    if numbers[0] is not None and numbers[0] == numbers[1]:
        return None
    unlike = None in numbers
    found, expected = (", ".join(sorted(some)) for some in (files[1], files[0]))
    what = "which cannot be compared with" if unlike else "with other tokens than"
    return f"{found}, {what} {expected}", f"the tokens of {first}"


def vocabulary(folder: Path, name: str) -> dict[str, int] | None:
    """The number of each token, from ``tokenizer.json``, ``vocab.txt`` or ``vocab.json``.

    Returns:
        None if the folder has none of these, or one of a kind that does not list its tokens.

    Raises:
        InputError: A file cannot be read.
    """
    if (folder / "tokenizer.json").is_file():
        document = read_document(folder / "tokenizer.json", name)
        model = document.get("model")
        tokens = model.get("vocab") if isinstance(model, dict) else None
        if isinstance(tokens, list):  # of the unigram kind: pairs of a token and its score
            tokens = {pair[0]: number for number, pair in enumerate(tokens)}
        if not isinstance(tokens, dict):
            return None
        added = document.get("added_tokens") or []
        return {**tokens, **{token["content"]: token["id"] for token in added}}
    if (folder / "vocab.txt").is_file():
        lines = _lines(folder / "vocab.txt")
        tokens = {token: number for number, token in enumerate(lines)}
    elif (folder / "vocab.json").is_file():
        tokens = read_document(folder / "vocab.json", name)
    else:
        return None
    added_file = folder / "added_tokens.json"
    return {**tokens, **(read_document(added_file, name) if added_file.is_file() else {})}


def read_document(path: Path, name: str) -> dict[str, Any]:
    """A JSON object of a model.

    Args:
        path: The file.
        name: What messages call the model.

    Raises:
        InputError: It is none.
    """
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        document = error
    if not isinstance(document, dict):
        raise InputError(
            "a file of the checkpoint cannot be read",
            where=f"{name}: {path}",
            found=str(document)[:200],
            expected="a JSON object",
            next="save the checkpoint again",
        )
    return document


def _content(path: Path, name: str) -> Any:
    """What a file says, however its writer laid it out."""
    if path.name == "tokenizer.json":
        return _canonical(read_document(path, name))
    if path.suffix == ".json":
        return read_document(path, name)
    if path.suffix == ".txt":
        return [line for line in _lines(path) if not line.startswith("#version")]
    return _digest(path)


def _canonical(document: Mapping[str, Any]) -> Any:
    # A tokenizer that was used keeps the last call's truncation and padding in its file.
    told = {key: part for key, part in document.items() if key not in {"truncation", "padding"}}
    try:
        # Versions of the library write the same tokenizer in different ways.
        return json.loads(Tokenizer.from_str(json.dumps(told)).to_str())
    except Exception:  # noqa: BLE001 -- the library raises nothing narrower
        return told


def _lines(path: Path) -> list[str]:
    # Not `splitlines`, which also parts lines at characters that are tokens.
    return path.read_text("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
