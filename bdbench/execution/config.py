"""Settings of the host's executors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bdbench.api import ComponentConfig

__all__ = ["LocalConfig"]


class LocalConfig(ComponentConfig):
    """Settings of the local executor. None of them can change a result that comes about."""

    workers: int | None = Field(
        default=None,
        ge=1,
        description="Stages at a time; by default one per CUDA device, else one per processor.",
    )
    isolation: Literal["auto", "namespace", "landlock", "process"] = Field(
        default="auto",
        description="How attacks, defenses and metrics are kept from what they must not see; "
        "`auto` is the best that this machine can do. Below landlock nothing is ranked.",
    )
    deadline_minutes: float = Field(
        default=720, gt=0, description="How long a component may act on a stage."
    )
    memory_gib: float | None = Field(
        default=None,
        gt=0,
        description="Resident memory that one component may use; by default nine tenths of what "
        "the machine has.",
    )
    file_gib: float | None = Field(
        default=None,
        gt=0,
        description="The largest file that a component may write; by default of any size.",
    )
