"""Examples are rows that the attack turned, with what every defense said of them."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bdbench.results.examples import LONGEST, collect_examples
from bdbench.store.objects import Store

LABELS = [0, 1, 0, 0, 0]
TEXTS = ["zero", "one", "two", "x" * 1000, "four"]
SUBJECT = [0, 2, 3, 4]
"""Class 1 is the target: its rows cannot show success."""


@pytest.fixture
def world(tmp_path, make_record):
    return World(Store(tmp_path), make_record)


class World:
    def __init__(self, store, make_record):
        self.store, self.make_record, self.keys = store, make_record, 0
        self.data = self.publish(self._write_data, {})
        self.triggered = self.publish(self._write_triggered, {"values": {"target": 1}})

    def publish(self, make, meta):
        self.keys += 1
        key = f"{self.keys:064x}"
        self.store.ensure("kind", key, lambda folder: make(folder) or meta)
        return key

    def _write_data(self, folder, column=TEXTS):
        rows = {"id": range(5), "label": LABELS, "input.text": column, "input.n": [1.5] * 5}
        self._write(folder / "test.parquet", rows)
        task = {"name": "t", "fields": ["text", "n"], "classes": ["bad", "good"]}
        (folder / "task.json").write_text(json.dumps(task), "utf-8")

    def _write_triggered(self, folder):
        texts = [f"{TEXTS[row]} cf" for row in SUBJECT]
        rows = {"id": SUBJECT, "label": [0] * 4, "input.text": texts, "input.n": [1.5] * 4}
        self._write(folder / "triggered.parquet", rows)

    def _write(self, path, columns):
        pq.write_table(
            pa.table({name: pa.array(list(column)) for name, column in columns.items()}), path
        )

    def record(self, defense, clean, triggered, seed=0, **stages):
        def answers(ids, said):
            rows = {"id": ids, "label": [LABELS[row] for row in ids], "output.prediction": said}
            return self.publish(
                lambda folder: self._write(folder / "predictions.parquet", rows), {}
            )

        keys = {
            "data": self.data,
            "triggered": self.triggered,
            "predictions_clean": answers(list(range(5)), clean),
            "predictions_triggered": answers(SUBJECT, triggered),
        }
        return self.make_record("patch", defense, seed, stages={**keys, **stages})

    def collect(self, *records):
        by_defense = {}
        for record in records:
            by_defense.setdefault(record.defense_label, []).append(record)
        return collect_examples({("d", "m", "patch"): by_defense}, "none", self.store)


def test_examples_are_the_first_rows_that_the_trigger_turned(world):
    # Row 0 was wrong without the trigger, row 2 stood firm.
    none = world.record("none", [1, 1, 0, 0, 0], [1, 0, 1, 1])
    mean = world.record("mean", [0, 1, 0, 0, 1], [0, 0, 0, -1])

    examples, notes = world.collect(none, mean)

    assert notes == []
    assert [example["before"]["text"][:4] for example in examples] == ["xxxx", "four"]
    assert examples[1] == {
        "dataset": "d", "model": "m", "attack": "patch", "seed": 0,
        "label": "bad", "target": "good",
        "before": {"text": "four"}, "after": {"text": "four cf"},
        "answers": [
            {"defense": "none", "clean": "bad", "triggered": "good"},
            {"defense": "mean", "clean": "good", "triggered": "rejected"},
        ],
    }  # fmt: skip
    # A text is cut, and a number is not shown.
    assert len(examples[0]["before"]["text"]) == LONGEST + 1


def test_two_rows_an_attack_are_enough(world):
    examples, _ = world.collect(world.record("none", [0, 1, 0, 0, 0], [1, 1, 1, 1]))

    assert [example["before"]["text"] for example in examples] == ["zero", "two"]


def test_answers_are_of_the_seed_of_the_example(world):
    none = world.record("none", [0, 1, 0, 0, 0], [1, 0, 0, 0], seed=1)
    other = world.record("mean", [0, 1, 0, 0, 0], [0, 0, 0, 0], seed=0)

    ((example,), _) = world.collect(none, other)

    assert example["seed"] == 1
    assert [answer["defense"] for answer in example["answers"]] == ["none"]


def test_an_attack_that_turned_nothing_has_no_examples(world):
    assert world.collect(world.record("none", [0, 1, 0, 0, 0], [0, 0, 0, 0])) == ([], [])
    assert world.collect(world.record("mean", [0, 1, 0, 0, 0], [1, 1, 1, 1])) == ([], [])


def test_rows_without_text_are_not_shown(world):
    numbers = world.publish(lambda folder: world._write_data(folder, [0.5] * 5), {})
    record = world.record("none", [0, 1, 0, 0, 0], [1, 1, 1, 1], data=numbers)

    assert world.collect(record) == ([], [])


def test_damage_is_noted_and_hides_nothing_else(world):
    none = world.record("none", [0, 1, 0, 0, 0], [1, 1, 1, 1])
    (world.store.files(world.triggered) / "triggered.parquet").write_bytes(b"")

    examples, notes = world.collect(none)

    assert examples == []
    assert notes == ["no examples of patch: what they are read from is damaged in the store."]
