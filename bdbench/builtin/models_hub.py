"""Victims whose encoder comes from the Hugging Face Hub, at a fixed revision."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from bdbench.builtin.models_config import HubModelConfig
from bdbench.builtin.sources import hub_access
from bdbench.toolkit.transformers import TransformersClassifier
from bdbench.toolkit.transformers_folder import TOKENIZER_FILES, missing_files

__all__ = ["HubModel"]

# Named one by one: a pattern such as *.json would also fetch what lies in subfolders.
_FILES = [
    "config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    *TOKENIZER_FILES,
]


class HubModel(TransformersClassifier):
    """The encoder of a repository on the Hub; safetensors only, no code."""

    config: HubModelConfig

    def source(self) -> Path:
        """The snapshot in the Hub's cache, fetched if it is not there or not complete."""
        name, revision = self.config.name, self.config.revision
        # The cache is asked first: without a network, the other way takes half a minute.
        with suppress(LocalEntryNotFoundError):
            folder = snapshot_download(
                name, revision=revision, allow_patterns=_FILES, local_files_only=True
            )
            if not missing_files(Path(folder)):
                return Path(folder)
        with hub_access("model", name, revision):
            return Path(snapshot_download(name, revision=revision, allow_patterns=_FILES))
