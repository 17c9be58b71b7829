"""Metrics see evidence and give what they declare; a number that is not finite is no score."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bdbench.api import Direction, Metric, MetricSpec, MetricValue, RowValues


@pytest.fixture
def score(bench, splits):
    """Scores a cell with metrics that give what a function makes of the evidence."""
    data = bench.data(splits())
    attack = {"kind": "attack", "label": "a", "component": "toy-patch", "config": {}}
    poison = bench.poison(attack, data)
    victim = bench.victim(data, poison=poison)
    clean = bench.predictions(data=data, model=victim)
    triggered = bench.predictions(data=data, model=victim, triggered=poison)
    inputs = {
        "data": data,
        "predictions_clean": clean,
        "undefended_clean": clean,
        "control_clean": clean,
    }
    attacked = {
        "triggered": poison,
        "predictions_triggered": triggered,
        "undefended_triggered": triggered,
        "floor": triggered,
    }

    def score(*metrics, control=False, declared=("value",), rows=None, bounds=(None, None)):
        values = tuple(
            MetricValue(name=name, summary="", direction=Direction.HIGHER, bounds=bounds)
            for name in declared
        )
        parts = []
        for measure in metrics:
            found = type("Given", (Metric,), {"measure": lambda self, e, m=measure: m(e)})
            if rows is not None:
                found.rows = lambda self, evidence: rows
            parts.append(bench.part(MetricSpec, found, values=values))
        key = bench.run("scores", {"metrics": parts}, **inputs, **({} if control else attacked))
        return json.loads((bench.folder(key) / "scores.json").read_text("utf-8"))

    return score


def test_scores_are_what_the_metrics_gave(score):
    assert score(lambda evidence: {"value": 0.25}) == {"value": 0.25}


def test_a_value_that_does_not_apply_is_nothing(score):
    assert score(lambda evidence: {"value": None}) == {"value": None}


def test_numbers_of_numpy_are_numbers(score):
    assert score(lambda evidence: {"value": np.float32(0.5)}) == {"value": 0.5}
    assert score(lambda evidence: {"value": np.int64(3)}) == {"value": 3.0}


def test_the_evidence_of_an_attacked_cell_is_complete(score):
    seen = []
    score(lambda evidence: seen.append(evidence) or {"value": 1.0})

    (evidence,) = seen
    assert (evidence.task.name, evidence.target) == ("vector-classification", 1)
    assert [len(evidence.clean), len(evidence.triggered), len(evidence.floor)] == [20, 10, 10]
    assert evidence.target not in evidence.triggered.labels
    assert evidence.undefended_triggered.ids.tolist() == evidence.triggered.ids.tolist()


def test_the_evidence_of_the_control_has_no_target_and_no_triggered_rows(score):
    seen = []
    score(lambda evidence: seen.append(evidence) or {"value": 1.0}, control=True)

    (evidence,) = seen
    assert evidence.target is None
    assert evidence.triggered is evidence.floor is evidence.undefended_triggered is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_a_score_that_is_not_finite_is_an_error(score, refused, value):
    error = refused(score, lambda evidence: {"value": value})

    assert error["type"] == "NonFiniteError"
    assert error["where"].endswith(".value")


@pytest.mark.parametrize("values", [{}, {"other": 1.0}, {"value": 1.0, "other": 1.0}])
def test_a_metric_must_give_exactly_what_it_declares(score, refused, values):
    error = refused(score, lambda evidence: values)

    assert error["what"].startswith("a metric must give the values that it declares")
    assert error["expected"] == "value"


def test_a_value_beyond_the_declared_bounds_is_an_error(score, refused):
    error = refused(score, lambda evidence: {"value": 95.8}, bounds=(0.0, 1.0))

    assert error["what"] == "a metric is beyond its bounds"
    assert (error["found"], error["expected"]) == ("95.8", "0.0 to 1.0, as its spec declares")
    assert score(lambda evidence: {"value": 1.0}, bounds=(None, 1.0)) == {"value": 1.0}


@pytest.mark.parametrize(
    ("ids", "values", "what"),
    [
        ([1000, 1000, 1001, 1002], [1.0, 1.0, 0.0, 0.0], "must name each test row once"),
        ([1000, 1001, 1002, 7], [1.0, 1.0, 0.0, 0.0], "must be test rows"),
        ([1000, 1001], [2.0, -1.0], "beyond its bounds"),
        ([1000, 1001], [1.0, 1.0], "must have its value as their mean"),
    ],
)
def test_rows_of_a_metric_are_held_against_what_they_must_be(score, refused, ids, values, what):
    rows = {"value": RowValues(np.array(ids), np.array(values))}

    error = refused(score, lambda evidence: {"value": 0.5}, rows=rows, bounds=(0.0, 1.0))
    assert what in error["what"]


def test_two_metrics_may_not_give_one_name(score, refused):
    error = refused(score, lambda evidence: {"value": 1.0}, lambda evidence: {"value": 2.0})

    assert "each name once in a suite" in error["what"]
