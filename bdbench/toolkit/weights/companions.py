"""The files beside a model's weights that a new model takes over from it."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["copy_companions"]

# Configurations, tokenizers (sentencepiece's are .model and .spm, tiktoken's .model or
# .tiktoken), chat templates, texts. A list of what may come along, since none of what must not
# would ever be complete: code, pickles under all their names, weights in other formats.
_SUFFIXES = frozenset({".codes", ".jinja", ".json", ".md", ".model", ".spm", ".tiktoken", ".txt"})
_NAMES = frozenset({"LICENSE", "NOTICE", "README"})


def copy_companions(source: Path, folder: Path) -> None:
    """Copies configuration, tokenizer, chat templates and descriptions of a model.

    Told by their names. Everything else stays behind: code that a model brings along, pickles,
    weights in whatever format, lists of which shard holds which tensor, and all subfolders.

    Args:
        source: The model's folder.
        folder: Where to; it exists.
    """
    for path in sorted(source.iterdir()):
        known = path.suffix in _SUFFIXES or path.name in _NAMES
        if known and path.is_file() and not path.name.endswith(".index.json"):
            # Without the mode: a stored model may be read-only.
            shutil.copyfile(path, folder / path.name)
