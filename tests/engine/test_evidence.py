"""What metrics see of an attack and of a defense that filters, and what becomes of their values."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bdbench.api import (
    Attack,
    AttackMetric,
    Checkpoint,
    Defense,
    Direction,
    Filtering,
    Metric,
    MetricSpec,
    MetricValue,
    Repair,
    Subject,
    Surface,
)
from bdbench.engine.rows import read_examples


class Varied(Attack):
    """Writes a number into every vector; a smaller and a larger one in its variants."""

    def edit(self, victim, view, seeds):
        raise AssertionError("no test edits a victim")

    def apply_trigger(self, examples, task, seeds):
        return self.patched(examples, 9)

    def variants(self, examples, task, seeds):
        half = examples.select(range(0, len(examples), 2))
        return {"weak": self.patched(half, 3), "strong-2": self.patched(examples, 30)}

    def patched(self, examples, value):
        vectors = [vector.copy() for vector in examples.inputs["vector"]]
        for vector in vectors:
            vector[1] = value
        return examples.with_input("vector", vectors)


@pytest.fixture
def varied(cell):
    """The key of a stage with variants, and of a victim."""
    attack = cell.attack(Varied, {Surface.WEIGHTS}, makes_variants=True)
    return cell.make("poison", attack), cell.victim()


# --- variants -----------------------------------------------------------------------------------


def test_variants_stand_beside_the_triggered_rows(varied, bench):
    poison, _ = varied

    assert bench.notes(poison)["variants"] == {"weak": 5, "strong-2": 10}
    rows = read_examples(bench.folder(poison) / "variants.parquet")
    assert [vector[1] for vector in rows.inputs["vector"]] == [3] * 5 + [30] * 10
    assert rows.ids == list(range(15))


WRONG = {
    "labels": lambda rows: rows.with_labels([1] * len(rows)),
    "unknown ids": lambda rows: type(rows)(rows.inputs, rows.labels, range(9000, 9000 + len(rows))),
    "no rows": lambda rows: rows.select([]),
    "an id twice": lambda rows: rows.select([0, 0]),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_variant_keeps_ids_and_labels(cell, refused, change):
    class Changed(Varied):
        def variants(self, examples, task, seeds):
            return {"weak": change(examples)}

    attack = cell.attack(Changed, {Surface.WEIGHTS}, makes_variants=True)

    assert "changed the ids or labels" in refused(cell.make, "poison", attack)["found"]


def test_a_variant_has_a_plain_name(cell, refused):
    class Misnamed(Varied):
        def variants(self, examples, task, seeds):
            return {"../weak": examples}

    attack = cell.attack(Misnamed, {Surface.WEIGHTS}, makes_variants=True)

    assert "not named by letters" in refused(cell.make, "poison", attack)["found"]


# --- metrics ------------------------------------------------------------------------------------


def measured(bench, kind, found, subject, inputs, **declared):
    values = (MetricValue(name="value", summary="", direction=Direction.NONE, **declared),)
    part = bench.part(MetricSpec, found, values=values, subject=subject)
    key = bench.run(kind, {"metrics": [part]}, **inputs)
    return json.loads((bench.folder(key) / "scores.json").read_text("utf-8"))


def evidence_of(bench, varied, cell):
    """What a metric of the cell sees."""
    poison, victim = varied
    seen = []

    class See(Metric):
        def measure(self, evidence):
            seen.append(evidence)
            return {"value": 1.0}

    clean = bench.predictions(data=cell.data, model=victim)
    triggered = bench.predictions(data=cell.data, model=victim, triggered=poison)
    variants = bench.predictions(data=cell.data, model=victim, variants=poison)
    inputs = {
        "data": cell.data,
        "triggered": poison,
        "predictions_clean": clean,
        "undefended_clean": clean,
        "control_clean": clean,
        "predictions_triggered": triggered,
        "undefended_triggered": triggered,
        "floor": triggered,
        "predictions_variants": variants,
        "undefended_variants": variants,
        "floor_variants": variants,
    }
    measured(bench, "scores", See, Subject.CELL, inputs)
    return seen[0]


def test_the_answers_to_variants_are_told_apart(varied, cell, bench):
    evidence = evidence_of(bench, varied, cell)

    for found in (evidence.variants, evidence.undefended_variants, evidence.floor_variants):
        assert [*found] == ["weak", "strong-2"]
    every = evidence.variants["strong-2"]
    assert every.ids.tolist() == evidence.triggered.ids.tolist()
    assert every.labels.tolist() == evidence.triggered.labels.tolist()
    assert evidence.variants["weak"].ids.tolist() == every.ids.tolist()[::2]
    assert every.columns["probabilities"].shape == (10, 2)
    assert evidence.attack.after.ids == evidence.triggered.ids.tolist()
    assert evidence.attack.variants["strong-2"].ids == every.ids.tolist()


@pytest.mark.parametrize(("count", "cut_off"), [(1, 15), (3, 0)])
def test_variants_that_were_cut_off_are_counted(varied, cell, bench, reads, count, cut_off):
    reads(count)  # the second number is the trigger
    poison, victim = varied
    key = bench.predictions(data=cell.data, model=victim, variants=poison)
    assert bench.notes(key) == {"cut_rows": 15, "triggers_cut_off": cut_off}


def test_a_metric_of_attacks_sees_the_rows_before_and_after(varied, cell, bench):
    seen = []

    class See(AttackMetric):
        def measure(self, evidence):
            seen.append(evidence)
            return {"value": 0.5}

    inputs = {"data": cell.data, "triggered": varied[0]}
    assert measured(bench, "attack_scores", See, Subject.ATTACK, inputs) == {"value": 0.5}

    (evidence,) = seen
    assert (evidence.target, len(evidence.before), len(evidence.after)) == (1, 10, 10)
    assert evidence.before.ids == evidence.after.ids
    assert evidence.before.labels == evidence.after.labels == [0] * 10
    assert all(vector[1] == 9 for vector in evidence.after.inputs["vector"])
    assert all(vector[1] != 9 for vector in evidence.before.inputs["vector"])
    assert {name: len(rows) for name, rows in evidence.variants.items()} == {
        "weak": 5,
        "strong-2": 10,
    }


def test_the_scores_of_the_attack_stand_among_those_of_the_cell(varied, cell, bench):
    class Measure(AttackMetric):
        def measure(self, evidence):
            return {"value": 0.5}

    values = (MetricValue(name="value", summary="", direction=Direction.NONE),)
    part = bench.part(MetricSpec, Measure, values=values, subject=Subject.ATTACK)
    scores = bench.run("attack_scores", {"metrics": [part]}, data=cell.data, triggered=varied[0])
    clean = bench.predictions(data=cell.data, model=varied[1])
    roles = ("predictions_clean", "undefended_clean", "control_clean")
    key = bench.run(
        "scores",
        {"metrics": []},
        data=cell.data,
        attack_scores=scores,
        **dict.fromkeys(roles, clean),
    )

    assert json.loads((bench.folder(key) / "scores.json").read_text("utf-8")) == {"value": 0.5}


def test_a_value_for_each_class_has_the_number_of_the_class(varied, cell, bench, refused):
    def giving(*names):
        class Measure(AttackMetric):
            def measure(self, evidence):
                return dict.fromkeys(names, 0.5)

        inputs = {"data": cell.data, "triggered": varied[0]}
        return measured(bench, "attack_scores", Measure, Subject.ATTACK, inputs, per_class=True)

    assert giving("value.0", "value.1") == {"value.0": 0.5, "value.1": 0.5}
    assert refused(giving, "value.0")["expected"] == "value.0, value.1"
    assert refused(giving, "value")["expected"] == "value.0, value.1"


def test_what_filters_decided_stands_beside_what_was_poisoned(cell, bench):
    def filtering(low, high):
        class Filter(Defense):
            def filter(self, train, view):
                # Ids are hidden from filters: only the test knows which row a vector is.
                rows = [numbers[vector.tobytes()] for vector in train.inputs["vector"]]
                return Filtering([not low <= row < high for row in rows], [*map(float, rows)])

        return bench.defense(Filter, "filter")

    patch = {"kind": "attack", "label": "a", "component": "toy-patch", "config": {}}
    poison = bench.poison(patch, cell.data)
    rows = read_examples(bench.folder(poison) / "train.parquet")
    numbers = {vector.tobytes(): row for row, vector in enumerate(rows.inputs["vector"])}
    victim = cell.victim(poison=poison)

    class Forge(Defense):
        """Leaves what looks like a filter's decisions."""

        def repair(self, victim, view):
            folder = shutil.copytree(victim.folder, view.workspace / "model")
            pq.write_table(pa.table({"id": [10**6], "keep": [False]}), folder / "filter-7.parquet")
            return Repair(Checkpoint(folder))

    treated = bench.treated(
        filters=[filtering(0, 4), filtering(2, 9)],
        repairs=[bench.defense(Forge, "repair")],
        data=cell.data,
        victim=victim,
        poison=poison,
    )
    seen = []

    class See(Metric):
        def measure(self, evidence):
            seen.append(evidence.filtering)
            return {"value": 1.0}

    clean = bench.predictions(data=cell.data, model=treated)
    roles = ("predictions_clean", "undefended_clean", "control_clean")
    inputs = {"data": cell.data, "treated": treated, **dict.fromkeys(roles, clean)}
    measured(bench, "scores", See, Subject.CELL, {**inputs, "poison": poison})
    measured(bench, "scores", See, Subject.CELL, inputs)

    mask = pq.read_table(bench.folder(poison) / "mask.parquet").to_pydict()
    attacked, control = seen
    assert attacked.ids.tolist() == mask["id"] == list(range(40))
    assert attacked.poisoned.tolist() == mask["poisoned"]
    assert attacked.kept.tolist() == [row >= 9 for row in range(40)]
    assert attacked.scores.tolist() == [float(row) for row in range(40)]
    assert not control.poisoned.any()
