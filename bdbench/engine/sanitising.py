"""A defense outside any benchmark: on a checkpoint of the user's own.

A checkpoint may also be a LoRA adapter. It has no classes and is never loaded as a model, so that
only what works on weight files can be done with it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bdbench.api import (
    Checkpoint,
    ComponentSpec,
    DefenderView,
    DefenseConfig,
    DefenseSpec,
    DefenseStage,
    Examples,
    InputError,
    Model,
    Needs,
    Recipe,
    SeedStream,
    Task,
)
from bdbench.engine.base_weights import likened
from bdbench.engine.data import blank_rows
from bdbench.engine.meter import Meter
from bdbench.engine.numerics import check_weight_files, settle, share_changed
from bdbench.engine.torch_engine import TorchEngine
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.toolkit.cutting import CutsRows

if TYPE_CHECKING:
    import torch

__all__ = ["Given", "Teller", "is_adapter", "read_task", "sanitise"]

_ADAPTER = "adapter_config.json"


class Teller(Protocol):
    """Is told what goes on."""

    def now(self, text: str) -> None:
        """What begins."""
        ...

    def done(self, text: str) -> None:
        """What is to be read later, too."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What a user has.

    Attributes:
        checkpoint: The doubtful model: a classifier as transformers saves it, or an adapter.
        task: What it is for.
        model: The family that loads it; None for an adapter.
        base: The family that prepares the clean pre-trained weights; None without them.
        references: Other models for the same task.
        clean: Labelled clean rows; None without them.
        seed: For everything that is random.
        precision: ``fp32`` or ``bf16``.
        origins: Where the base and the clean rows come from and what else the report repeats.
    """

    checkpoint: Checkpoint
    task: Task
    model: Model | None
    base: Model | None
    references: tuple[Checkpoint, ...]
    clean: Examples | None
    seed: int
    precision: str
    origins: Mapping[str, Any] = field(default_factory=dict)


class _Engine(TorchEngine):
    """Torch work of which each pass over rows is told; none on an adapter."""

    def __init__(self, given: Given, meter: Meter, teller: Teller) -> None:
        if given.model is not None:
            super().__init__(given.model, given.precision, meter)
        self._checkpoint = given.checkpoint
        self._loads = given.model is not None
        self._teller = teller
        self._passes = 0
        self._of = ""

    def load(self, checkpoint: Checkpoint) -> torch.nn.Module:
        if not self._loads:
            raise InputError(
                "the defense needs a whole model",
                where=str(self._checkpoint.folder),
                found=f"{_ADAPTER}, which makes it an adapter to another model",
                expected="a classifier as transformers saves it",
                next="fold the adapter into its base (`merge_and_unload` of PEFT), save that and"
                " name its folder; of adapters as they are, `merge` makes a new one",
            )
        return super().load(checkpoint)

    def fine_tune(
        self,
        module: torch.nn.Module,
        like: Checkpoint,
        rows: Examples,
        recipe: Recipe,
        *arguments: Any,
        **options: Any,
    ) -> None:
        self._passes, self._of = 0, f" of {recipe.epochs}"
        super().fine_tune(module, like, rows, recipe, *arguments, **options)
        self._passes, self._of = 0, ""

    def batches(
        self, like: Checkpoint, rows: Examples, batch_size: int, seeds: SeedStream
    ) -> Iterator[tuple[Any, Sequence[Any]]]:
        self._passes += 1
        self._teller.now(f"  pass {self._passes}{self._of} over {len(rows)} rows")
        return super().batches(like, rows, batch_size, seeds)


def is_adapter(checkpoint: Path) -> bool:
    """Whether the folder holds a LoRA adapter, as PEFT saves one."""
    return (checkpoint / _ADAPTER).is_file()


def read_task(checkpoint: Path, fields: tuple[str, ...]) -> Task:
    """The task of a classifier, from its ``config.json``; that of an adapter has no classes.

    Raises:
        InputError: The folder does not hold a classifier.
    """
    if is_adapter(checkpoint):
        return Task(_ADAPTER, fields, ())
    path = checkpoint / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        names = config["id2label"] if "id2label" in config else _usual_names(config)
        classes = tuple(names[str(number)] for number in range(len(names)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "the checkpoint does not say which classes it has",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            expected="a config.json with id2label, as transformers saves a classifier",
            next="name the folder of a sequence classifier",
        ) from None
    name = "text-classification" if len(fields) == 1 else "text-pair-classification"
    return Task(name, fields, classes)


def _usual_names(config: Mapping[str, Any]) -> dict[str, str]:
    """What transformers calls two classes, and does not write down."""
    if not any(name.endswith("ForSequenceClassification") for name in config["architectures"]):
        raise KeyError("id2label")
    return {str(number): f"LABEL_{number}" for number in range(2)}


def sanitise(
    host: Host,
    given: Given,
    steps: Sequence[tuple[str, dict[str, Any]]],
    out: Path,
    teller: Teller,
) -> dict[str, Any]:
    """Applies repairs in order and writes the repaired checkpoint.

    Args:
        host: Brings the defenses.
        given: What the user has.
        steps: Each defense's name and settings.
        out: A folder that does not exist yet; it appears whole or not at all.
        teller: Is told of warnings, steps and passes over rows.

    Returns:
        The report: what was given and what is to be said against it, what each step noted, what
        changed, accuracy on the clean rows before and after, cost.

    Raises:
        InputError: Something that a defense needs is not there, or cannot be used.
    """
    settle()
    meter = Meter()
    engine = _Engine(given, meter, teller)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".defending-") as scratch:
        work = Path(scratch)
        check_weight_files(given.checkpoint, str(given.checkpoint.folder))
        rows = _look_at_rows(given)
        for warning in rows["warnings"]:
            teller.done(f"warning: {warning}")
        before = _accuracy(engine, given.checkpoint, given.clean)
        checkpoint = given.checkpoint
        notes: list[dict[str, Any]] = []
        for index, (name, values) in enumerate(steps):
            workspace = work / str(index)
            workspace.mkdir()
            began = time.monotonic()
            step = f"[{index + 1}/{len(steps)}] {name}"
            teller.now(f"{step} ...")
            checkpoint, note = _apply(host, given, engine, name, values, checkpoint, workspace)
            notes.append({"defense": name, "settings": values, "notes": note})
            teller.done(f"{step}: done after {time.monotonic() - began:.1f} s")
        report = {
            "schema": "bdbench.defend/1",
            "checkpoint": str(given.checkpoint.folder),
            "classes": list(given.task.classes),
            **given.origins,
            **rows,
            "references": [str(item.folder) for item in given.references],
            "steps": notes,
            "parameters_changed": share_changed(given.checkpoint, checkpoint),
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


def _look_at_rows(given: Given) -> dict[str, Any]:
    """What the report says of the clean rows, and warnings for whoever reads its accuracies."""
    found: dict[str, Any] = {"clean_rows": 0, "warnings": []}
    if given.clean is None:
        return found
    rows, classes = given.clean, given.task.classes
    counts = {name: list(rows.labels).count(number) for number, name in enumerate(classes)}
    found |= {"clean_rows": len(rows), "clean_per_class": counts}
    missing = [name for name, count in counts.items() if not count]
    if missing:
        found["warnings"].append(
            f"no clean row of {', '.join(map(repr, missing))}: a repair can learn to answer with "
            "the other classes only, and the accuracy on these rows would not show it"
        )
    blank = found["clean_blank"] = blank_rows(rows)
    if blank:
        found["warnings"].append(f"{blank} of {len(rows)} clean rows have an empty text")
    if isinstance(given.model, CutsRows):
        items = given.model.encode(rows, given.checkpoint)
        cut = found["clean_cut"] = sum(map(given.model.is_cut, items))
        if cut:
            found["warnings"].append(
                f"{cut} of {len(rows)} clean rows are longer than the model reads, and were cut"
            )
    return found


def _apply(
    host: Host,
    given: Given,
    engine: _Engine,
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
    if not _repairs(spec):
        stages = ", ".join(sorted(spec.stages)) if isinstance(spec, DefenseSpec) else ""
        repairs = sorted({item.spec.name for item in host.components() if _repairs(item.spec)})
        raise InputError(
            "this defense does not repair a model",
            where=f"--defense {name}",
            found=f"stage {stages}" if stages else "no stage: it does nothing",
            expected=f"a repair: one of {', '.join(repairs)}" if repairs else "a repair",
            next="`bdbench show NAME` tells what each needs",
        )
    _check_given(name, needs, given, spec.works_for(given.task.name))
    base = None
    if needs.base_weights and given.base is not None:
        prepared = workspace / "prepared"
        prepared.mkdir()
        given.base.prepare(given.task, prepared, SeedStream(given.seed).child("base"))
        loaded = engine.load(checkpoint).state_dict()
        base = likened(Checkpoint(prepared), checkpoint, loaded, workspace / "base")
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


def _repairs(spec: ComponentSpec) -> bool:
    """Whether it is a defense that repairs, and nothing else: rows to filter or screen are none."""
    return isinstance(spec, DefenseSpec) and spec.stages == {DefenseStage.REPAIR}


def _check_given(name: str, needs: Needs, given: Given, fits: bool) -> None:  # noqa: FBT001
    clean = 0 if given.clean is None else len(given.clean)
    lacking = ""
    if not fits and given.model is None:
        lacking, option = "a whole model", "fold the adapter into its base, and name that"
    elif not fits:
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
    if not rows:
        return None
    outputs = engine.predict(engine.load(checkpoint), checkpoint, rows)
    return float((outputs["prediction"] == np.asarray(rows.labels)).mean())
