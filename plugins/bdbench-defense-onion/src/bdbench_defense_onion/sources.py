"""Where a language model's folder is: on this machine, or in the cache of the Hugging Face Hub."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    HTTPError,
    LocalEntryNotFoundError,
)

from bdbench.api import InputError
from bdbench.toolkit.transformers_folder import TOKENIZER_FILES, missing_files

__all__ = ["folder_of"]

# Named one by one: a pattern such as *.json would also fetch what lies in subfolders.
_FILES = [
    "config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    *(name for name in TOKENIZER_FILES if name.endswith((".json", ".txt"))),
]


def folder_of(source: Path | str) -> Path:
    """The folder of a language model, downloaded if it has to be.

    Args:
        source: A folder, or ``hf:owner/name@<commit>``. Of a repository only weights in
            safetensors and text files are fetched.

    Raises:
        InputError: The repository cannot be reached or does not hold what is needed.
    """
    if isinstance(source, Path):
        return source
    name, _, commit = source.removeprefix("hf:").partition("@")
    # The cache is asked first: without a network, the other way takes half a minute.
    with suppress(LocalEntryNotFoundError):
        folder = Path(
            snapshot_download(name, revision=commit, allow_patterns=_FILES, local_files_only=True)
        )
        if not missing_files(folder):
            return folder
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=_FILES))
    except (OSError, HTTPError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise InputError(
            "the language model cannot be fetched",
            where=source,
            found=f"{type(error).__name__}: {reason}",
            expected="access to huggingface.co, or the files in its cache",
            next="check name, commit and connection, or copy the files to this machine and set "
            "`language_model` to their folder",
        ) from error
