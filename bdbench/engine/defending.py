"""Stage ``treated``: filters act on the training rows, then repairs act on the model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import (
    Checkpoint,
    DefenderView,
    Defense,
    DefenseConfig,
    DefenseSpec,
    Examples,
    InputError,
    Needs,
    SeedStream,
    Selection,
)
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.numerics import check_weight_files
from bdbench.engine.torch_engine import TorchEngine
from bdbench.engine.victims import starting_point, train_honestly

__all__ = ["build_defense", "make_treated", "make_view"]


def make_treated(stage: Stage) -> StageResult:
    """The model that a composition of filters and repairs leaves."""
    checkpoint = stage.checkpoint("victim")
    notes: dict[str, Any] = {}
    selections: list[Selection] = []
    filters, repairs = stage.settings["filters"], stage.settings["repairs"]
    if filters:
        checkpoint = _filtered(stage, filters, notes, selections)
    for index, part in enumerate(repairs):
        defense, needs = build_defense(stage, part)
        workspace = stage.scratch / f"repair-{index}"
        workspace.mkdir()
        view = make_view(stage, part, needs, workspace, checkpoint)
        repair = defense.repair(checkpoint, view)
        _check_repair(part["label"], repair.checkpoint, checkpoint)
        notes[part["label"]] = dict(repair.notes)
        selections.append(repair.selection)
        checkpoint = repair.checkpoint
    shutil.copytree(checkpoint.folder, stage.folder, dirs_exist_ok=True)
    return StageResult(notes=notes, values={"selection": [*map(str, selections)]})


def build_defense(stage: Stage, part: Mapping[str, Any]) -> tuple[Any, Needs]:
    """A defense, and what it needs with its settings."""
    defense: Defense = stage.build(part)
    spec = stage.host.spec_of("defense", part["component"])
    if not spec.works_for(stage.task.name):
        raise InputError(
            "the defense does not work for this task",
            where=part["label"],
            found=stage.task.name,
            expected=", ".join(sorted(spec.tasks)),
        )
    needs = spec.needs if isinstance(spec, DefenseSpec) else Needs()
    if isinstance(defense.config, DefenseConfig):
        needs = defense.config.needs(needs)
    return defense, needs


def make_view(
    stage: Stage,
    part: Mapping[str, Any],
    needs: Needs,
    workspace: Path,
    checkpoint: Checkpoint | None,
) -> DefenderView:
    """What one defense is given: what it declares, of what the plan put among the inputs.

    Args:
        stage: Where it acts.
        part: What the plan says of it.
        needs: What it declares.
        workspace: An empty folder.
        checkpoint: The model under defense; None where it does not look at one.
    """
    engine = TorchEngine(stage.model, stage.precision, stage.meter)

    def predict(rows: Examples) -> Any:
        if checkpoint is None:
            raise TypeError("there is no model in this stage")
        return engine.predict(engine.load(checkpoint), checkpoint, rows)

    return DefenderView(
        defense=part["label"],
        needs=needs,
        task=stage.task,
        seeds=stage.seeds.child(part["component"]),
        workspace=workspace,
        engine=engine,
        clean_rows=stage.clean_rows() if needs.clean_rows else None,
        references=stage.checkpoints("references") if needs.references else (),
        base=stage.checkpoint("base") if needs.base_weights else None,
        training_rows=stage.training_rows() if needs.training_data else None,
        predict=predict,
    )


def _filtered(
    stage: Stage, filters: list[Any], notes: dict[str, Any], selections: list[Selection]
) -> Checkpoint:
    """A model trained as the victim was, on the rows that the filters keep."""
    rows = stage.training_rows()
    for index, part in enumerate(filters):
        defense, needs = build_defense(stage, part)
        workspace = stage.scratch / f"filter-{index}"
        workspace.mkdir()
        view = make_view(stage, part, needs, workspace, stage.checkpoint("victim"))
        filtering = defense.filter(rows, view)
        rewritten = rows if filtering.examples is None else filtering.examples
        lengths = {len(filtering.keep), len(filtering.scores)}
        if lengths != {len(rows)} or list(rewritten.ids) != list(rows.ids):
            raise InputError(
                "a filter must decide on every row",
                where=part["label"],
                found=f"{len(filtering.keep)} decisions, {len(filtering.scores)} scores, "
                f"{len(rewritten)} rows",
                expected=f"{len(rows)} of each, in their order",
                next="tell the plugin's authors",
            )
        pq.write_table(
            pa.table({"id": rows.ids, "keep": filtering.keep, "score": filtering.scores}),
            stage.folder / f"filter-{index}.parquet",
        )
        notes[part["label"]] = {**filtering.notes, "kept_rows": sum(map(bool, filtering.keep))}
        selections.append(filtering.selection)
        rows = rewritten.select([row for row, keep in enumerate(filtering.keep) if keep])
    # The victim's own streams: without what was filtered out, the twin of the victim. An
    # attacker who trained the victim is not there any more; one who published the weights that
    # it started from is.
    seeds = SeedStream(stage.seeds.root, ("victim",))
    start = starting_point(stage, seeds)
    return train_honestly(stage, start, rows, seeds, stage.scratch / "filtered")


def _check_repair(label: str, repaired: Checkpoint, victim: Checkpoint) -> None:
    if repaired.folder == victim.folder or not repaired.weight_files():
        raise InputError(
            "a repair must write a new model",
            where=label,
            found=f"weight files {[path.name for path in repaired.weight_files()]}"
            if repaired.folder != victim.folder
            else "the victim's own folder",
            expected="safetensors files in a new folder",
            next="tell the plugin's authors",
        )
    check_weight_files(repaired, label)
