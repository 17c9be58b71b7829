"""What model families keep to."""

from __future__ import annotations

import numpy as np

from bdbench.engine.box import CODE
from bdbench.testing.acts_others import ModelRun
from bdbench.testing.check import check
from bdbench.testing.subject import Subject

ROUNDING = 1e-4


def _run(subject: Subject) -> ModelRun:
    found: ModelRun = subject.first.run
    return found


@check("model")
def gives_one_answer_per_row(subject: Subject) -> None:
    """Columns and losses have a row for each row; probabilities sum to one."""
    run = _run(subject)
    count = len(run.rows)
    for name, column in {**run.said, "loss": run.losses}.items():
        if column.shape[:1] != (count,):
            subject.fail(
                f"{name} has not one entry for each row",
                found=f"shape {list(column.shape)} for {count} rows",
            )
    classes = len(subject.world.task.classes)
    if not {"prediction", "probabilities"} <= run.said.keys():
        subject.fail("a classifier gives prediction and probabilities", found=", ".join(run.said))
    probabilities = run.said["probabilities"].numpy()
    if probabilities.shape != (count, classes):
        subject.fail(
            "there is not one probability for each class",
            found=f"shape {list(probabilities.shape)}",
            expected=f"[{count}, {classes}]",
        )
    if not np.allclose(probabilities.sum(axis=1), 1, atol=ROUNDING):
        subject.fail("probabilities do not sum to one")


@check("model")
def answer_independent_of_batch(subject: Subject) -> None:
    """A row gets the same answer alone as among others: padding has no effect."""
    run = _run(subject)
    for row, alone in enumerate(run.alone):
        for name, column in alone.items():
            together = run.said[name][row].numpy()
            if not np.allclose(column[0].numpy(), together, rtol=ROUNDING, atol=ROUNDING):
                subject.fail(
                    f"{name} depends on what else is in the batch",
                    found=f"{column[0].numpy()} alone, {together} among others (row {row})",
                )


@check("model")
def saved_model_is_the_same(subject: Subject) -> None:
    """A model that is saved and loaded again gives the same answers."""
    run = _run(subject)
    for name, column in run.said.items():
        if not np.allclose(column.numpy(), run.again[name].numpy(), rtol=1e-6, atol=1e-6):
            subject.fail(f"{name} is another one after saving and loading")


@check("model")
def checkpoints_hold_data_only(subject: Subject) -> None:
    """A checkpoint is safetensors with JSON or text beside them: no pickle, no code."""
    run = _run(subject)
    for checkpoint in (run.start, run.saved):
        if not checkpoint.weight_files():
            subject.fail("a checkpoint has no safetensors files")
        code = [path.name for path in checkpoint.folder.rglob("*") if path.suffix in CODE]
        if code:
            subject.fail("a checkpoint holds files that could run code", found=", ".join(code))
