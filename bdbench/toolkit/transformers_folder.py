"""A model in a folder, as transformers writes it: its files, and how they are read safely."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from pathlib import Path
from typing import Any

from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from safetensors import SafetensorError
from transformers.utils import logging

from bdbench.api import InputError

__all__ = [
    "LOCAL",
    "TOKENIZER_FILES",
    "missing_files",
    "quietly",
    "read_json",
    "reading",
    "require_model",
]

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
"""The files that a tokenizer is read from. All are data; none can hold code."""

LOCAL = {"local_files_only": True, "trust_remote_code": False}
"""What every ``from_pretrained`` is called with: no network, no code that comes with a model."""


def missing_files(folder: Path) -> list[str]:
    """What a folder lacks to be read as a model with its tokenizer, in words; empty if nothing."""
    lacking = [] if (folder / "config.json").is_file() else ["no config.json"]
    index = folder / "model.safetensors.index.json"
    if not (folder / "model.safetensors").is_file():
        shards = set(read_json(index).get("weight_map", {}).values()) if index.is_file() else set()
        absent = sorted(name for name in shards if not (folder / name).is_file())
        if absent or not shards:
            lacking.append(f"no {absent[0] if absent else 'model.safetensors'}")
    vocabularies = set(TOKENIZER_FILES) - {
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "merges.txt",
    }
    if not any((folder / name).is_file() for name in vocabularies):
        lacking.append("no tokenizer")
    return lacking


def require_model(folder: Path) -> None:
    """Refuses a folder from which no model can be read.

    Raises:
        InputError: It names what is missing.
    """
    lacking = missing_files(folder)
    if (folder / "adapter_config.json").exists():
        lacking.append("adapter_config.json, which makes it an adapter to another model")
    if lacking:
        raise InputError(
            "the folder does not hold a model that can be read",
            where=str(folder),
            found=", ".join(lacking) if folder.is_dir() else "no such folder",
            expected="config.json, model.safetensors and a tokenizer",
            next="name a folder written by `save_pretrained` of transformers;"
            " pickled weights (.bin, .pt) are never read",
        )


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turns what goes wrong when a folder is read into an `InputError`, and keeps quiet."""
    try:
        with quietly():
            yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise InputError(
            "the model cannot be read",
            where=str(folder),
            found=f"{type(error).__name__}: {str(error).strip().rstrip('.')[:400]}",
            expected="an encoder of an architecture that transformers knows, with its weights",
            next="check the folder; models that bring code of their own are not supported",
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """No progress bars, no warnings and no threads of transformers; restored afterwards.

    What matters of its warnings is checked by the caller. A tokenizer that has used threads
    would complain whenever the process forks later.
    """
    verbosity = logging.get_verbosity()
    # Where the Hub's bars are off, transformers' own stay off, too: it switches both together.
    bars = logging.is_progress_bar_enabled() and not are_progress_bars_disabled()
    threads = os.environ.get("TOKENIZERS_PARALLELISM")
    logging.set_verbosity(ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        if threads is None:
            del os.environ["TOKENIZERS_PARALLELISM"]


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of the model.

    Raises:
        InputError: It is not JSON.
    """
    with reading(path.parent):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content
