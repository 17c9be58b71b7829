"""A defense outside any benchmark: on a checkpoint of the user's own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from bdbench.api import (
    Checkpoint,
    DefenderView,
    DefenseConfig,
    DefenseSpec,
    DefenseStage,
    Examples,
    InputError,
    Model,
    Needs,
    SeedStream,
    Task,
)
from bdbench.engine.meter import Meter
from bdbench.engine.numerics import check_weight_files, settle
from bdbench.engine.torch_engine import TorchEngine
from bdbench.host.catalog import Host
from bdbench.host.configure import configure

__all__ = ["Given", "read_task", "sanitise"]


@dataclass(frozen=True, slots=True)
class Given:
    """What a user has.

    Attributes:
        checkpoint: The doubtful model: a classifier as transformers saves it.
        task: What it is for.
        model: The family that loads it.
        base: The family that prepares the clean pre-trained weights; None without them.
        references: Other models for the same task.
        clean: Labelled clean rows; None without them.
        seed: For everything that is random.
        precision: ``fp32`` or ``bf16``.
    """

    checkpoint: Checkpoint
    task: Task
    model: Model
    base: Model | None
    references: tuple[Checkpoint, ...]
    clean: Examples | None
    seed: int
    precision: str


def read_task(checkpoint: Path, fields: tuple[str, ...]) -> Task:
    """The task of a classifier, from its ``config.json``.

    Raises:
        InputError: The folder does not hold a classifier.
    """
    path = checkpoint / "config.json"
    try:
        names: dict[str, str] = json.loads(path.read_text("utf-8"))["id2label"]
        classes = tuple(names[str(number)] for number in range(len(names)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "the checkpoint does not say which classes it has",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            expected="a config.json with id2label, as transformers saves a classifier",
            next="name the folder of a sequence classifier",
        ) from None
    name = "text-classification" if len(fields) == 1 else "text-pair-classification"
    return Task(name, fields, classes)


def sanitise(
    host: Host, given: Given, steps: Sequence[tuple[str, dict[str, Any]]], out: Path
) -> dict[str, Any]:
    """Applies repairs in order and writes the repaired checkpoint.

    Args:
        host: Brings the defenses.
        given: What the user has.
        steps: Each defense's name and settings.
        out: A folder that does not exist yet; it appears whole or not at all.

    Returns:
        The report: what was given, what each step noted, what changed, accuracy on the clean
        rows before and after, cost.

    Raises:
        InputError: Something that a defense needs is not there, or cannot be used.
    """
    settle()
    meter = Meter()
    engine = TorchEngine(given.model, given.precision, meter)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".defending-") as scratch:
        work = Path(scratch)
        check_weight_files(given.checkpoint, str(given.checkpoint.folder))
        before = _accuracy(engine, given.checkpoint, given.clean)
        checkpoint = given.checkpoint
        notes: list[dict[str, Any]] = []
        for index, (name, values) in enumerate(steps):
            workspace = work / str(index)
            workspace.mkdir()
            checkpoint, note = _apply(host, given, engine, name, values, checkpoint, workspace)
            notes.append({"defense": name, "settings": values, "notes": note})
        report = {
            "schema": "bdbench.defend/1",
            "checkpoint": str(given.checkpoint.folder),
            "classes": list(given.task.classes),
            "clean_rows": 0 if given.clean is None else len(given.clean),
            "references": [str(item.folder) for item in given.references],
            "steps": notes,
            "parameters_changed": _changed(given.checkpoint, checkpoint),
            "clean_accuracy_before": before,
            "clean_accuracy_after": _accuracy(engine, checkpoint, given.clean),
            "seed": given.seed,
            "precision": given.precision,
            "cost": meter.cost().model_dump(),
        }
        finished = work / "finished"
        shutil.copytree(checkpoint.folder, finished)
        text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
        (finished / "bdbench-report.json").write_text(text + "\n", "utf-8")
        finished.rename(out)
    return report


def _apply(
    host: Host,
    given: Given,
    engine: TorchEngine,
    name: str,
    values: dict[str, Any],
    checkpoint: Checkpoint,
    workspace: Path,
) -> tuple[Checkpoint, dict[str, Any]]:
    component = host.find("defense", name, where="--defense")
    spec = component.spec
    config = configure(host, component, values, where=f"--set {name}")
    needs = spec.needs if isinstance(spec, DefenseSpec) else Needs()
    needs = config.needs(needs) if isinstance(config, DefenseConfig) else needs
    if not isinstance(spec, DefenseSpec) or spec.stages != {DefenseStage.REPAIR}:
        raise InputError(
            "this defense does not repair a model",
            where=name,
            found=", ".join(spec.stages) if isinstance(spec, DefenseSpec) else "no stage",
            expected="a defense of the stage repair",
            next="see `bdbench list --kind defense`",
        )
    _check_given(name, needs, given, spec.works_for(given.task.name))
    base = None
    if needs.base_weights and given.base is not None:
        folder = workspace / "base"
        folder.mkdir()
        given.base.prepare(given.task, folder, SeedStream(given.seed).child("base"))
        base = Checkpoint(folder)
    room = workspace / "room"
    room.mkdir()
    view = DefenderView(
        defense=name,
        needs=needs,
        task=given.task,
        seeds=SeedStream(given.seed).child("defense", component.full_name),
        workspace=room,
        engine=engine,
        clean_rows=given.clean,
        references=given.references,
        base=base,
        predict=lambda rows: engine.predict(engine.load(checkpoint), checkpoint, rows),
    )
    repair = host.load_class(component)(config).repair(checkpoint, view)
    check_weight_files(repair.checkpoint, name)
    return repair.checkpoint, dict(repair.notes)


def _check_given(name: str, needs: Needs, given: Given, fits: bool) -> None:  # noqa: FBT001
    clean = 0 if given.clean is None else len(given.clean)
    lacking = ""
    if not fits:
        lacking, option = f"a task other than {given.task.name}", "choose another defense"
    elif needs.clean_rows > clean:
        lacking, option = f"{needs.clean_rows} clean rows", "give a file of them with --clean"
    elif needs.references > len(given.references):
        lacking = f"{needs.references} other models for the same task"
        option = "name each with --with"
    elif needs.base_weights and given.base is None:
        lacking, option = "the clean pre-trained weights", "name them with --base"
    elif needs.training_data:
        lacking, option = "the training rows", "use it in a suite"
    if lacking:
        raise InputError(
            "the defense needs something that was not given",
            where=name,
            found=f"{clean} clean rows, {len(given.references)} other models, "
            f"{'base weights' if given.base else 'no base weights'}",
            expected=lacking,
            next=option,
        )


def _accuracy(engine: TorchEngine, checkpoint: Checkpoint, rows: Examples | None) -> float | None:
    if rows is None:
        return None
    outputs = engine.predict(engine.load(checkpoint), checkpoint, rows)
    return float((outputs["prediction"] == np.asarray(rows.labels)).mean())


def _changed(before: Checkpoint, after: Checkpoint) -> float:
    """The share of all weights that are not what they were."""
    places: dict[str, Path] = {}
    for path in before.weight_files():
        with safe_open(path, framework="pt") as file:
            places |= dict.fromkeys(file.keys(), path)
    changed = total = 0
    for path in after.weight_files():
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 -- not a mapping
                new = file.get_tensor(name)
                total += new.numel()
                if name not in places:
                    changed += new.numel()
                    continue
                with safe_open(places[name], framework="pt") as old_file:
                    old = old_file.get_tensor(name)
                changed += int((old.to(torch.float32) != new.to(torch.float32)).sum())
    return changed / total
