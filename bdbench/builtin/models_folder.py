"""Victims whose encoder stands in a folder on this machine."""

from __future__ import annotations

from pathlib import Path

from bdbench.builtin.models_config import FolderModelConfig
from bdbench.toolkit.transformers import TransformersClassifier

__all__ = ["FolderModel"]


class FolderModel(TransformersClassifier):
    """The encoder in ``path``."""

    config: FolderModelConfig

    def source(self) -> Path:
        """The folder as configured."""
        return self.config.path
