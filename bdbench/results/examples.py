"""A few test rows with and without the trigger, and what each defense made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bdbench.api import ABSTAIN
from bdbench.results.predictions import Answer, read_answers
from bdbench.results.records import CellRecord
from bdbench.store.objects import CorruptObjectError, Store

__all__ = ["collect_examples"]

PER_ATTACK = 2
LONGEST = 400
"""Texts are cut after this many characters."""

REJECTED = "rejected"
"""What is written for a row that an input screen did not let through."""


def collect_examples(
    groups: Mapping[tuple[str, str, str], Mapping[str, Sequence[CellRecord]]],
    baseline: str,
    store: Store,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Examples of every attack, in the schema of a comparison, and notes for the reader.

    Of the first seed in which the undefended victim has a result: the first rows, in the order
    of the data, that it got right without the trigger and gave to the target with it. Nothing of
    attacks that fooled it nowhere, and of tasks without text or classes.

    Args:
        groups: Records by data set, model and attack, then by defense.
        baseline: The name of the defense that does nothing.
        store: Holds rows and predictions.
    """
    found: list[dict[str, Any]] = []
    damaged = []
    for (dataset, model, attack), defenses in groups.items():
        done = [record for record in defenses.get(baseline, ()) if record.status == "success"]
        if not done or "predictions_triggered" not in done[0].stages:
            continue
        place = {"dataset": dataset, "model": model, "attack": attack, "seed": done[0].seed}
        same_seed = {
            name: record
            for name, records in defenses.items()
            for record in records
            if record.seed == done[0].seed and record.status == "success"
        }
        try:
            examples = list(_examples(done[0], same_seed, store))
        except CorruptObjectError:
            damaged.append(attack)
            continue
        found += [{**place, **example} for example in examples]
    notes = []
    if damaged:
        names = ", ".join(dict.fromkeys(damaged))
        notes.append(f"no examples of {names}: what they are read from is damaged in the store.")
    return found, notes


def _examples(
    victim: CellRecord, defenses: Mapping[str, CellRecord], store: Store
) -> list[dict[str, Any]]:
    def folder(record: CellRecord, role: str) -> Path:
        return store.open(record.stages[role]).folder

    data = folder(victim, "data")
    classes: list[str] = json.loads((data / "task.json").read_text("utf-8"))["classes"]
    target = store.meta(victim.stages["triggered"])["values"].get("target")
    if not classes or target is None:
        return []
    clean = read_answers(folder(victim, "predictions_clean"))
    triggered = read_answers(folder(victim, "predictions_triggered"))
    fooled = [
        row
        for row, answer in triggered.items()
        if answer.prediction == target and row in clean and clean[row].prediction == answer.label
    ][:PER_ATTACK]
    if not fooled:
        return []
    before = _texts(data / "test.parquet", fooled)
    after = _texts(folder(victim, "triggered") / "triggered.parquet", fooled)
    answers: dict[int, list[dict[str, str]]] = {row: [] for row in fooled}
    for name, record in defenses.items():
        said_clean = read_answers(folder(record, "predictions_clean"), fooled)
        said_triggered = read_answers(folder(record, "predictions_triggered"), fooled)
        for row in fooled:
            answers[row].append(
                {
                    "defense": name,
                    "clean": _class(said_clean.get(row), classes),
                    "triggered": _class(said_triggered.get(row), classes),
                }
            )
    return [
        {
            "label": classes[triggered[row].label],
            "target": classes[target],
            "before": before[row],
            "after": after[row],
            "answers": answers[row],
        }
        for row in fooled
        if before.get(row) and after.get(row)
    ]


def _texts(path: Path, ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """The text fields of these rows, cut to a length that can be shown."""
    import pyarrow as pa  # noqa: PLC0415 -- a tenth of a second
    import pyarrow.parquet as pq  # noqa: PLC0415 -- a tenth of a second

    schema = pq.read_schema(path)
    fields = [
        name
        for name in schema.names
        if name.startswith("input.") and pa.types.is_string(schema.field(name).type)
    ]
    table = pq.read_table(path, columns=["id", *fields], filters=[("id", "in", list(ids))])
    return {
        row["id"]: {name.removeprefix("input."): _cut(row[name]) for name in fields}
        for row in table.to_pylist()
    }


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _class(answer: Answer | None, classes: Sequence[str]) -> str:
    if answer is None:
        return ""
    return REJECTED if answer.prediction == ABSTAIN else classes[answer.prediction]
