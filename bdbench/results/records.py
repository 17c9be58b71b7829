"""The record of one cell: everything about its result, readable without torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SCHEMA_VERSION", "CellRecord", "ComponentRecord", "Cost"]

SCHEMA_VERSION = 1

Status = Literal["success", "failed", "incompatible", "skipped"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ComponentRecord(_Model):
    """Exactly which component took part, and with what settings."""

    label: str = Field(description="Its name in the suite.")
    component: str = Field(description="Full name, <distribution>/<name>.")
    version: str = Field(description="Version of the distribution.")
    revision: int = Field(description="The component's own revision.")
    code: str = Field(description="Digest of the distribution's code.")
    config: dict[str, Any] = Field(description="Settings, defaults filled in.")


class Cost(_Model):
    """What one stage took, measured alike for all."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mib: float = 0.0
    forward_rows: int = 0
    backward_rows: int = 0
    gradient_steps: int = 0


class CellRecord(_Model):
    """One (dataset, model, attack, defense, seed) and what came of it."""

    schema_version: int = SCHEMA_VERSION
    cell_id: str = Field(description="Identity of the cell's scores; the same from any plan.")
    suite: str
    seed: int
    dataset: ComponentRecord
    model: ComponentRecord
    attack: ComponentRecord
    defense: list[ComponentRecord] = Field(description="In the order in which they act.")
    defense_label: str
    status: Status
    reason: str = Field(default="", description="Why there is no score, in one paragraph.")
    needs: str = Field(default="", description="What the defense was given, in words.")
    metrics: dict[str, float | None] = Field(default_factory=dict)
    costs: dict[str, Cost] = Field(
        default_factory=dict, description="By stage: victim, treated, predictions."
    )
    stages: dict[str, str] = Field(
        default_factory=dict, description="Keys of the stages behind the cell, by role."
    )
    notes: dict[str, Any] = Field(
        default_factory=dict, description="What data set, attack, defense and screen reported."
    )
    training: dict[str, Any] = Field(default_factory=dict, description="The host's recipe.")
    environment: dict[str, str] = Field(
        default_factory=dict, description="Versions, device and numerics that produced it."
    )
    isolation: str = Field(default="none", description="How its components were kept apart.")
    selection: str = Field(
        default="fixed", description="How hyper-parameters were chosen; `oracle` is not ranked."
    )
