"""From a plan and a store to records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bdbench.api.defenses import Selection
from bdbench.api.errors import error_from_dict
from bdbench.results.predictions import SCREENING
from bdbench.results.records import ISOLATION, CellRecord, ComponentRecord, Cost, Status
from bdbench.store.objects import Store
from bdbench.suite.identity import digest_json
from bdbench.suite.plan import Cell, Plan
from bdbench.suite.resolve import Part

__all__ = ["cell_id", "collect_record"]

DEFENDED = (
    "treated",
    *(f"{what}_{rows}" for what in ("screened", "predictions") for rows in ("clean", "triggered")),
)
VICTIM = ("pretrained", "trained", "victim")
COSTED = (*VICTIM, *DEFENDED)
NOTED = ("data", "poison", *VICTIM, "triggered", *DEFENDED)


def cell_id(cell: Cell) -> str:
    """The identity of a cell: that of its scores, or of its parts where it cannot run."""
    if "scores" in cell.stages:
        return cell.stages["scores"]
    parts = (cell.dataset, cell.model, cell.attack, *cell.defense.parts)
    return digest_json({"cell": [part.identity for part in parts], "seed": cell.seed})


def collect_record(
    plan: Plan, cell: Cell, store: Store, errors: Mapping[str, Mapping[str, str]]
) -> CellRecord:
    """The record of a cell, from what the store holds.

    Args:
        plan: The plan that the cell is of.
        cell: The cell.
        store: Holds the stages that succeeded.
        errors: The errors of the stages that failed, by key.

    Raises:
        CorruptObjectError: An object is not what its manifest says.
    """
    status, reason = _status(plan, cell, store, errors)
    suite = plan.resolved.suite
    metrics: dict[str, float | None] = {}
    costs: dict[str, Cost] = {}
    notes: dict[str, Any] = {}
    environment: dict[str, str] = {}
    isolation = ISOLATION[0]
    selections = {Selection.FIXED}
    # Of a failed cell what is in the store: a victim was trained that a defense fails on.
    roles = _noted_roles(cell) if status in {"success", "failed"} else ()
    for role in roles:
        if status == "failed" and not store.contains(cell.stages[role]):
            continue
        meta = store.meta(cell.stages[role])
        if role in COSTED:
            costs[role] = Cost.model_validate(meta["cost"])
        if SCREENING in meta["values"]:
            within = role.replace("predictions", SCREENING)
            costs[within] = Cost.model_validate(meta["values"][SCREENING])
        if meta["notes"]:
            notes[role] = meta["notes"]
        if role in DEFENDED:
            selections |= {Selection(item) for item in meta["values"].get("selection", [])}
    if status == "success":
        scores = store.open(cell.stages["scores"])
        metrics = json.loads((scores.folder / "scores.json").read_text("utf-8"))
        environment = dict(store.meta(cell.stages["predictions_clean"])["environment"])
        environment["precision"] = plan.resolved.precision
        isolation = _isolation(plan.behind(cell), store)
    return CellRecord(
        cell_id=cell_id(cell),
        suite=suite.name,
        seed=cell.seed,
        dataset=_component(cell.dataset),
        model=_component(cell.model),
        attack=_component(cell.attack),
        defense=[_component(part) for part in cell.defense.parts],
        defense_label=cell.defense.label,
        measured_by=[_component(part) for part in plan.resolved.metrics],
        references=_references(plan, cell),
        status=status,
        reason=reason,
        needs=cell.defense.needs.describe(),
        metrics=metrics,
        costs=costs,
        stages=dict(cell.stages),
        notes=notes,
        granted={**suite.defender.model_dump(exclude={"references"}), "limit": suite.limit},
        training={**suite.training.model_dump(), "precision": plan.resolved.precision},
        environment=environment,
        isolation=isolation,
        selection=max(selections, key=list(Selection).index),
    )


def _noted_roles(cell: Cell) -> Iterator[str]:
    """The roles of a cell's stages whose costs and notes are its record's."""
    for role in NOTED:
        # Two roles may be one stage: most attacks trigger rows where they poison them, and
        # a defense that treats nothing leaves the victim.
        same = {"treated": "victim", "triggered": "poison"}.get(role, "")
        if role in cell.stages and cell.stages[role] != cell.stages.get(same):
            yield role


def _status(
    plan: Plan, cell: Cell, store: Store, errors: Mapping[str, Mapping[str, str]]
) -> tuple[Status, str]:
    if cell.reason:
        return "incompatible", cell.reason
    # The record tells of everything that the scores rest on.
    if all(store.contains(key) for key in plan.behind(cell)):
        return "success", ""
    cause = plan.first_failure(cell, errors)
    if cause is None and store.contains(cell.stages["scores"]):
        return "skipped", "an object that it rests on is gone; the same command computes it again"
    if cause is None:
        return "skipped", "the run was interrupted"
    return "failed", f"{cause.kind} ({cause.label}): {error_from_dict(dict(errors[cause.key]))}"


def _isolation(keys: Iterable[str], store: Store) -> str:
    """The weakest way in which a component behind these stages was kept apart.

    Stages in which no component acted say None; those of a store from before there were walls
    say nothing. Where none acted at all, as behind the control's victim in a suite that measures
    attacks only, nothing had to be kept apart.
    """
    said: list[str | None] = [store.meta(key).get("isolation", ISOLATION[0]) for key in keys]
    return min(filter(None, said), key=ISOLATION.index, default=ISOLATION[-1])


def _references(plan: Plan, cell: Cell) -> list[ComponentRecord]:
    if not cell.defense.needs.references:
        return []
    return [_component(part) for part in plan.resolved.references_for(cell.attack)]


def _component(part: Part) -> ComponentRecord:
    return ComponentRecord(
        label=part.label,
        component=part.component.full_name,
        version=part.component.version,
        revision=part.component.spec.revision,
        code=part.code,
        config=dict(part.document["config"]),
    )
