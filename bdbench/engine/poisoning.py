"""Stage ``poison``: the attack makes a poisoned training set and a triggered test set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import Attack, AttackerView, Examples, InputError, PoisonConfig, PoisonsData
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.rows import write_examples

__all__ = ["make_poison"]


def make_poison(stage: Stage) -> StageResult:
    """Poisons the training rows, triggers the test rows, and holds the attack to its claims.

    Leaves ``train.parquet`` (what the victim is trained on), ``mask.parquet`` (which rows were
    poisoned; no defender sees it) and ``triggered.parquet`` (the test rows whose true label is
    not the target, each with the trigger).
    """
    attack: Attack = stage.build(stage.settings["attack"])
    label: str = stage.settings["attack"]["label"]
    component = stage.host.find("attack", stage.settings["attack"]["component"])
    if not component.spec.works_for(stage.task.name):
        raise InputError(
            "the attack does not work for this task",
            where=label,
            found=stage.task.name,
            expected=", ".join(sorted(component.spec.tasks)),
        )
    clean = stage.rows("data", "train")
    test = stage.rows("data", "test")
    target = attack.target(stage.task)
    train, mask, notes = clean, [False] * len(clean), {}
    if isinstance(attack, PoisonsData):
        poisoning = attack.poison(AttackerView(stage.task, clean), stage.seeds.child("train"))
        train, mask = poisoning.train, [bool(marked) for marked in poisoning.mask]
        notes = dict(poisoning.notes)
        _check_poisoning(label, clean, train, mask, attack.config)
    eligible = [row for row, yes in enumerate(attack.eligible(test, stage.task)) if yes]
    subject = test.select(eligible)
    triggered = attack.apply_trigger(subject, stage.task, stage.seeds.child("test"))
    _check_triggered(label, subject, triggered, target)
    write_examples(train, stage.folder / "train.parquet")
    write_examples(triggered, stage.folder / "triggered.parquet")
    pq.write_table(pa.table({"id": train.ids, "poisoned": mask}), stage.folder / "mask.parquet")
    return StageResult(
        notes={
            **notes,
            "poisoned_rows": sum(mask),
            "poison_rate": round(sum(mask) / len(train), 6),
            "triggered_rows": len(triggered),
        },
        values={"target": target},
    )


def _check_poisoning(
    label: str, clean: Examples, train: Examples, mask: list[bool], config: Any
) -> None:
    ids = list(train.ids)
    if len(mask) != len(train) or ids[: len(clean)] != list(clean.ids):
        raise _broken_claim(label, "the poisoned rows are not the clean ones in their order")
    if len(set(ids)) < len(ids):
        raise _broken_claim(label, "two rows have the same id")
    for row, poisoned in enumerate(mask):
        if not poisoned and not (row < len(clean) and _same_row(clean, train, row)):
            raise _broken_claim(label, f"row {train.ids[row]} was changed, but is not marked")
    if not isinstance(config, PoisonConfig):
        return
    if config.clean_label and any(
        poisoned and (row >= len(clean) or train.labels[row] != clean.labels[row])
        for row, poisoned in enumerate(mask)
    ):
        raise _broken_claim(label, "a label was changed under clean_label: true")
    # An attack may round to the nearest row, not beyond.
    if sum(mask) > config.poison_rate * len(clean) + 0.5:
        raise _broken_claim(
            label, f"{sum(mask)} of {len(clean)} rows were poisoned at rate {config.poison_rate}"
        )


def _check_triggered(label: str, before: Examples, after: Examples, target: int | None) -> None:
    if list(after.ids) != list(before.ids) or list(after.labels) != list(before.labels):
        raise _broken_claim(label, "apply_trigger changed the order, ids or labels of rows")
    if not len(after):
        raise InputError(
            "no test row can show whether the attack works",
            where=label,
            found=f"every test row has the target's label {target}",
            expected="test rows of other classes",
            next="choose another target",
        )
    same = sum(_same_row(before, after, row) for row in range(len(after)))
    if same:
        raise _broken_claim(label, f"{same} of {len(after)} rows came back without a trigger")


def _same_row(one: Examples, other: Examples, row: int) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return bool(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b)

    return equal(one.labels[row], other.labels[row]) and all(
        equal(one.inputs[name][row], other.inputs[name][row]) for name in one.inputs
    )


def _broken_claim(label: str, found: str) -> InputError:
    return InputError(
        "the attack does not keep to its rules",
        where=label,
        found=found,
        expected="what `bdbench.api.attacks` asks of an attack",
        next="tell the plugin's authors",
    )
