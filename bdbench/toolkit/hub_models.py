"""The folders of models that components bring along: on this machine, or fetched from the Hub."""

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

__all__ = ["hub_folder"]

# Named one by one: a pattern such as *.json would also fetch what lies in subfolders.
FILES = [
    "config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    *TOKENIZER_FILES,
]


def hub_folder(
    source: Path | str,
    *,
    where: str,
    otherwise: str = "copy the files to this machine and name their folder",
) -> Path:
    """The folder of a model: one of this machine, or in the Hub's cache, fetched if need be.

    Args:
        source: A folder, which is given back as it is, or ``hf:owner/name@<commit>``. Of a
            repository only weights in safetensors and the files of the tokenizer are fetched.
        where: Who wants it, for the message: a component and its setting.
        otherwise: What else the user can do, for the message.

    Raises:
        InputError: The repository cannot be reached.
    """
    if isinstance(source, Path):
        return source
    name, _, commit = source.removeprefix("hf:").partition("@")
    # The cache is asked first: without a network, the other way takes half a minute.
    with suppress(LocalEntryNotFoundError):
        folder = Path(
            snapshot_download(name, revision=commit, allow_patterns=FILES, local_files_only=True)
        )
        if not missing_files(folder):
            return folder
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=FILES))
    except (OSError, HTTPError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise InputError(
            "a model cannot be fetched",
            where=f"{where}: {source}",
            found=f"{type(error).__name__}: {reason}",
            expected="access to huggingface.co, or the files in its cache",
            next=f"check name, commit and connection, or {otherwise}",
        ) from error
