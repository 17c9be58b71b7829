"""The test rows as an attacker shows them: with the trigger, and in the attack's variants."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bdbench.api import Checkpoint, Examples, InputError, Model
from bdbench.engine.attacker import Attacker, broken_claim
from bdbench.engine.context import Stage
from bdbench.engine.rows import read_examples, write_examples

__all__ = ["count_cut_off", "read_variants", "same_row", "show_triggers"]


def show_triggers(stage: Stage, attack: Attacker) -> dict[str, Any]:
    """Writes the triggered test rows, and the variants if there are any.

    Leaves ``triggered.parquet`` (the test rows whose true label is not the target, each with
    the trigger) and, for attacks that make variants, ``variants.parquet`` with
    ``variants.json`` (which of its rows are which row of which variant).

    Returns:
        Notes for the record.

    Raises:
        InputError: The attack breaks a rule, or no test row can show success.
    """
    test = stage.rows("data", "test")
    chosen = [row for row, yes in enumerate(attack.eligible(test)) if yes]
    _check_eligible(attack, test, chosen)
    subject = test.select(chosen)
    triggered = attack.apply_trigger(subject, stage.seeds.child("test"))
    _check_triggered(attack.label, subject, triggered)
    write_examples(triggered, stage.folder / "triggered.parquet")
    notes: dict[str, Any] = {"triggered_rows": len(triggered)}
    # An attack may leave out rows that cannot bear its trigger: how many, readers should know.
    others = sum(label != attack.target for label in test.labels)
    if len(chosen) < others:
        notes["rows_left_out"] = others - len(chosen)
    if attack.spec.makes_variants:
        variants = attack.variants(stage.seeds.child("variants"))
        _write_variants(stage, attack.label, subject, variants)
        notes["variants"] = {name: len(rows) for name, rows in variants.items()}
    return notes


def read_variants(folder: Path) -> dict[str, Examples]:
    """The variants that `show_triggers` wrote, by name."""
    rows = read_examples(folder / "variants.parquet")
    found: dict[str, Examples] = {}
    start = 0
    for name, ids in json.loads((folder / "variants.json").read_text("utf-8")).items():
        part = rows.select(range(start, start + len(ids)))
        found[name] = Examples(part.inputs, part.labels, ids)
        start += len(ids)
    return found


def count_cut_off(
    model: Model, checkpoint: Checkpoint, before: Examples, cut: Sequence[Any]
) -> int:
    """Of rows that a model cuts, how many it reads as if nothing had been done to them.

    Args:
        model: The family.
        checkpoint: One of its models.
        before: The rows without their triggers.
        cut: The same rows with them, as the family encodes them.
    """
    bare = model.encode(before, checkpoint)
    return sum(one == other for one, other in zip(bare, cut, strict=True))


def _write_variants(
    stage: Stage, label: str, subject: Examples, variants: Mapping[str, Examples]
) -> None:
    places = {row_id: row for row, row_id in enumerate(subject.ids)}
    every = Examples({name: [] for name in stage.task.fields}, [], [])
    ids: dict[str, list[int]] = {}
    for name, rows in variants.items():
        known = set(rows.ids) <= places.keys() and len(set(rows.ids)) == len(rows)
        true = known and all(
            rows.labels[row] == subject.labels[places[row_id]]
            for row, row_id in enumerate(rows.ids)
        )
        if not true or not len(rows):
            raise broken_claim(
                label, f"variant {name!r} changed the ids or labels of rows, or has none"
            )
        if not name.replace("-", "").isalnum():
            raise broken_claim(label, f"variant {name!r} is not named by letters, digits and `-`")
        ids[name] = list(rows.ids)
        every = every + rows
    # The rows of all variants in one file: a row may be there several times, so ids are new.
    numbered = Examples(every.inputs, every.labels, list(range(len(every))))
    write_examples(numbered, stage.folder / "variants.parquet")
    (stage.folder / "variants.json").write_text(json.dumps(ids), "utf-8")


def _check_eligible(attack: Attacker, test: Examples, chosen: list[int]) -> None:
    if attack.target is not None and any(test.labels[row] == attack.target for row in chosen):
        raise broken_claim(attack.label, "rows of the target class were counted as eligible")
    if not chosen:
        raise InputError(
            "no test row can show whether the attack works",
            where=attack.label,
            found=f"no test row that is eligible for the target {attack.target}",
            expected="test rows of other classes",
            next="choose another target",
        )


def _check_triggered(label: str, before: Examples, after: Examples) -> None:
    if list(after.ids) != list(before.ids) or list(after.labels) != list(before.labels):
        raise broken_claim(label, "apply_trigger changed the order, ids or labels of rows")
    same = sum(same_row(before, after, row) for row in range(len(after)))
    if same:
        raise broken_claim(label, f"{same} of {len(after)} rows came back without a trigger")


def same_row(one: Examples, other: Examples, row: int) -> bool:
    """Whether a row has the same label and inputs in both."""

    def equal(a: Any, b: Any) -> bool:
        return bool(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b)

    return equal(one.labels[row], other.labels[row]) and all(
        equal(one.inputs[name][row], other.inputs[name][row]) for name in one.inputs
    )
