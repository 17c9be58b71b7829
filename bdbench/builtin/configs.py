"""Settings of the host's own components."""

from __future__ import annotations

from pydantic import Field

from bdbench.api import ComponentConfig

__all__ = ["LocalConfig"]


class LocalConfig(ComponentConfig):
    """Settings of the local executor."""

    workers: int | None = Field(
        default=None,
        ge=1,
        description="Stages at a time; by default one per CUDA device, else one per processor.",
    )
