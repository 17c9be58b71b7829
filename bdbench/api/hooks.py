"""The whole contract between host and plugins: thirteen hooks, readable in one sitting.

A plugin is a distribution with an entry point in the group ``bdbench`` that names a small
module of hook implementations::

    [project.entry-points.bdbench]
    defense-onion = "bdbench_defense_onion.hooks"

*Registration hooks* take nothing and return specs. They are called whenever bdbench starts, so
their module must not import torch, transformers, datasets, mlflow or pandas, read files, or
take more than a few milliseconds. What it prints goes to stderr. Of the components, only those
that a suite names are run: declaring others changes no number. The module itself is imported into
the host and its workers, and what runs there when it is imported is bound by nothing;
``plugins: pinned`` in a suite is about that.

*Observer hooks* take one frozen event, watch and change nothing. They run in the main process,
in the order of the distributions' names. An exception in one is recorded as a warning of the
run and has no other effect.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from bdbench.api.events import CellEvent, PlanBuilt, RunEvent, StageEvent
from bdbench.api.specs import (
    AttackSpec,
    DatasetSpec,
    DefenseSpec,
    ExecutorSpec,
    MetricSpec,
    ModelSpec,
    ReporterSpec,
    SuiteSpec,
)

__all__ = ["ENTRY_POINT_GROUP", "hookimpl", "hookspec"]

ENTRY_POINT_GROUP = "bdbench"

hookspec = pluggy.HookspecMarker("bdbench")
hookimpl = pluggy.HookimplMarker("bdbench")


@hookspec
def bdbench_register_attacks() -> Iterable[AttackSpec]:  # type: ignore[empty-body]
    """The attacks that this plugin brings."""


@hookspec
def bdbench_register_defenses() -> Iterable[DefenseSpec]:  # type: ignore[empty-body]
    """The defenses that this plugin brings."""


@hookspec
def bdbench_register_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """The metrics that this plugin brings."""


@hookspec
def bdbench_register_models() -> Iterable[ModelSpec]:  # type: ignore[empty-body]
    """The victim models that this plugin brings."""


@hookspec
def bdbench_register_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """The data sets that this plugin brings."""


@hookspec
def bdbench_register_reporters() -> Iterable[ReporterSpec]:  # type: ignore[empty-body]
    """The ways to write a comparison that this plugin brings."""


@hookspec
def bdbench_register_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """The ways to run stages that this plugin brings."""


@hookspec
def bdbench_register_suites() -> Iterable[SuiteSpec]:  # type: ignore[empty-body]
    """The preset suites that this plugin brings."""


@hookspec
def bdbench_plan_built(event: PlanBuilt) -> None:
    """The plan of a run is made; nothing has been computed yet."""


@hookspec
def bdbench_run_started(event: RunEvent) -> None:
    """A run starts."""


@hookspec
def bdbench_stage_changed(event: StageEvent) -> None:
    """A stage started, finished or failed (see ``event.status``)."""


@hookspec
def bdbench_cell_finished(event: CellEvent) -> None:
    """A cell has its final record, be it a success, a failure or incompatible."""


@hookspec
def bdbench_run_finished(event: RunEvent) -> None:
    """A run is over; every cell has a record, or the run was interrupted."""
