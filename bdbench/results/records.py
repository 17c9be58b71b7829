"""The record of one cell: everything about its result, readable without torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ISOLATION", "SCHEMA_VERSION", "CellRecord", "ComponentRecord", "Cost"]

ISOLATION = ("none", "process", "landlock", "namespace")
"""How components can be kept apart, weakest first."""

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
    peak_memory_mib: float = Field(default=0.0, description="Resident, the imports included.")
    forward_rows: int = Field(default=0, description="Rows that went through a model.")
    backward_rows: int = Field(default=0, description="Rows that a gradient was computed for.")
    gradient_steps: int = Field(default=0, description="Steps of an optimizer.")
    clean_rows_drawn: int = Field(default=0, description="Clean rows that were really taken.")
    reference_models: int = Field(default=0, description="Reference models that were taken.")
    parameters_changed: float | None = Field(
        default=None, description="Share of the victim's weights that a repair changed."
    )
    tuning_trials: int = Field(default=0, description="Settings that were tried on clean rows.")

    def since(self, before: Cost) -> Cost:
        """What came on top of an earlier count: all that adds up; of the rest, what it is now."""
        added = ("wall_seconds", "cpu_seconds", "forward_rows", "backward_rows", "gradient_steps")
        changes = {name: getattr(self, name) - getattr(before, name) for name in added}
        return self.model_copy(update=changes)


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
    measured_by: list[ComponentRecord] = Field(
        default_factory=list, description="The metrics, in the order of the suite."
    )
    references: list[ComponentRecord] = Field(
        default_factory=list,
        description="The attacks behind the reference models that the defense was granted.",
    )
    status: Status
    reason: str = Field(default="", description="Why there is no score, in one paragraph.")
    needs: str = Field(default="", description="What the defense was given, in words.")
    metrics: dict[str, float | None] = Field(default_factory=dict)
    costs: dict[str, Cost] = Field(
        default_factory=dict,
        description="By stage: victim, treated, predictions; of a failed cell those that ended.",
    )
    stages: dict[str, str] = Field(
        default_factory=dict, description="Keys of the stages behind the cell, by role."
    )
    notes: dict[str, Any] = Field(
        default_factory=dict, description="What data set, attack, defense and screen reported."
    )
    granted: dict[str, Any] = Field(
        default_factory=dict,
        description="What the suite grants every defense (models to merge with apart), and its "
        "limit on rows.",
    )
    training: dict[str, Any] = Field(default_factory=dict, description="The host's recipe.")
    environment: dict[str, str] = Field(
        default_factory=dict, description="Versions, device and numerics that produced it."
    )
    isolation: str = Field(
        default="none",
        description="How its components were kept apart, the weakest of them: a value of "
        "`ISOLATION`.",
    )
    selection: str = Field(
        default="fixed", description="How hyper-parameters were chosen; `oracle` is not ranked."
    )
