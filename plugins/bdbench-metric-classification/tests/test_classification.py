from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import ABSTAIN, Evidence, InputError, NonFiniteError, Predictions, Task
from bdbench_metric_classification.classification import (
    Classification,
    defense_effectiveness_rating,
)
from bdbench_metric_classification.hooks import bdbench_register_metrics

TASK = Task("text-classification", ("text",), ("a", "b", "c"))
TRIGGERED = ["triggered", "undefended_triggered", "floor"]
TABLES = ["clean", "undefended_clean", "control_clean", *TRIGGERED]


def table(labels, predicted, **columns):
    predicted = np.asarray(predicted)
    return Predictions(
        ids=np.arange(len(labels)),
        labels=np.asarray(labels, dtype=np.int64),
        columns={"prediction": predicted, **columns},
        rejected=predicted == ABSTAIN,
    )


def attacked():
    """Target 1; a defense that stops part of the attack and loses some accuracy."""
    return Evidence(
        task=TASK,
        target=1,
        clean=table([0, 1, 2, 0, 1], [0, 1, 0, 2, ABSTAIN]),
        undefended_clean=table([0, 1, 2, 0, 1], [0, 1, 2, 0, 2]),
        control_clean=table([0, 1, 2, 0, 1], [0, 1, 2, 0, 1]),
        triggered=table([0, 2, 0, 2], [1, 2, 2, ABSTAIN]),
        undefended_triggered=table([0, 2, 0, 2], [1, 1, 1, 0]),
        floor=table([0, 2, 0, 2], [0, 2, 0, 1]),
    )


def control():
    return replace(attacked(), target=None, triggered=None, undefended_triggered=None, floor=None)


def measure(evidence):
    return Classification(None).measure(evidence)


def test_known_values():
    assert measure(attacked()) == pytest.approx(
        {
            "clean_accuracy": 2 / 5,
            "asr": 1 / 4,
            "asr_floor": 1 / 4,
            "lfr": 2 / 4,
            "lfr_floor": 1 / 4,
            "robust_accuracy": 1 / 4,
            "clean_accuracy_change": 2 / 5 - 4 / 5,
            "asr_change": 1 / 4 - 3 / 4,
            "accuracy_vs_control": 2 / 5 - 1,
            "der": (1 / 2 - 2 / 5 + 1) / 2,
            "worst_class_accuracy": 0,
            "class_accuracy.0": 1 / 2,
            "class_accuracy.1": 1 / 2,
            "class_accuracy.2": 0,
            "class_asr.0": 1 / 2,
            "class_asr.1": None,
            "class_asr.2": 0,
        }
    )


def test_the_control_has_accuracy_only():
    values = measure(control())
    assert {name for name, value in values.items() if value is not None} == {
        "clean_accuracy",
        "clean_accuracy_change",
        "accuracy_vs_control",
        "worst_class_accuracy",
        "class_accuracy.0",
        "class_accuracy.1",
        "class_accuracy.2",
    }
    assert values["clean_accuracy"] == pytest.approx(2 / 5)


def test_an_attack_without_a_target_has_robust_accuracy():
    values = measure(replace(attacked(), target=None))
    assert values["robust_accuracy"] == pytest.approx(1 / 4)
    assert (values["lfr"], values["lfr_floor"]) == (2 / 4, 1 / 4)
    attack_success = ["asr", "asr_floor", "asr_change", "der", "class_asr.0", "class_asr.2"]
    assert {values[name] for name in attack_success} == {None}


def test_without_a_defense_nothing_changes():
    evidence = attacked()
    values = measure(
        replace(evidence, clean=evidence.undefended_clean, triggered=evidence.undefended_triggered)
    )
    assert (values["clean_accuracy_change"], values["asr_change"], values["der"]) == (0, 0, 0.5)


def test_rejecting_everything_is_wrong_on_clean_rows_and_stops_the_attack():
    values = measure(
        replace(
            attacked(),
            clean=table([0, 1, 2, 0, 1], [ABSTAIN] * 5),
            triggered=table([0, 2, 0, 2], [ABSTAIN] * 4),
        )
    )
    names = ["clean_accuracy", "worst_class_accuracy", "asr", "lfr", "robust_accuracy"]
    assert [values[name] for name in names] == [0] * 5


def test_a_flip_is_any_other_class_and_an_abstention_is_none():
    labels, answers = [0, 0, 2, 2, 0, 2, 0, 2], [0, 1, 1, 0, 2, 2, ABSTAIN, ABSTAIN]
    values = measure(replace(attacked(), triggered=table(labels, answers)))
    assert (values["lfr"], values["asr"], values["robust_accuracy"]) == (4 / 8, 2 / 8, 2 / 8)


def test_values_of_a_class_come_from_its_rows_alone():
    values = measure(
        replace(
            attacked(),
            clean=table([0, 0, 0, 0, 1, 1, 1], [0, 0, 0, ABSTAIN, 0, 1, 1]),
            triggered=table([2, 2, 2, 2], [1, 1, 1, 0]),
        )
    )
    by_class = [values[f"class_accuracy.{number}"] for number in range(3)]
    assert by_class == [3 / 4, 2 / 3, None]
    assert values["worst_class_accuracy"] == 2 / 3
    assert [values[f"class_asr.{number}"] for number in range(3)] == [None, None, 3 / 4]


def test_a_task_that_names_no_classes_has_no_values_by_class():
    values = measure(replace(attacked(), task=Task("any", ("text",))))
    assert not [name for name in values if "." in name]
    assert values["worst_class_accuracy"] == 0


@pytest.mark.parametrize(
    ("asr_drop", "accuracy_drop", "rating"),
    [
        (1, 0, 1),
        (0, 0, 0.5),
        (0, 1, 0),
        (1, 1, 0.5),
        (-1, 0, 0.5),
        (0, -1, 0.5),
        (0.75, 0.25, 0.75),
    ],
)
def test_der(asr_drop, accuracy_drop, rating):
    assert defense_effectiveness_rating(asr_drop=asr_drop, accuracy_drop=accuracy_drop) == rating


drops = st.floats(0, 1)


@given(drops, drops, drops)
def test_der_falls_with_lost_accuracy_and_rises_with_stopped_attacks(asr, one, other):
    low, high = sorted([one, other])

    def der(asr_drop, accuracy_drop):
        return defense_effectiveness_rating(asr_drop=asr_drop, accuracy_drop=accuracy_drop)

    assert der(asr, high) <= der(asr, low)
    assert der(low, asr) <= der(high, asr)


@st.composite
def evidences(draw):
    def tables(rows, labels, least):
        predicted = st.lists(st.integers(least, 2), min_size=rows, max_size=rows)
        return [table(labels, draw(predicted)) for _ in range(3)]

    labels = draw(st.lists(st.integers(0, 2), min_size=1, max_size=12))
    others = draw(st.lists(st.sampled_from([0, 2]), min_size=1, max_size=12))
    clean = tables(len(labels), labels, ABSTAIN)
    triggered = tables(len(others), others, ABSTAIN)
    return Evidence(TASK, 1, *clean, *triggered)


@given(st.data())
def test_with_two_classes_labels_flip_to_the_target(data):
    zeros = data.draw(st.integers(1, 9)) * [0]
    answers = [st.lists(st.integers(ABSTAIN, 1), min_size=len(zeros), max_size=len(zeros))] * 3
    triggered = [table(zeros, data.draw(drawn)) for drawn in answers]
    clean = [table([0, 1], [0, 1])] * 3
    values = measure(Evidence(Task("any", ("text",), ("a", "b")), 1, *clean, *triggered))
    assert values["lfr"] == values["asr"] == values["class_asr.0"]
    assert values["lfr_floor"] == values["asr_floor"]


@given(evidences())
def test_shares_of_classes_add_up(evidence):
    values = measure(evidence)
    for name, whole, rows in [
        ("class_accuracy", "clean_accuracy", evidence.clean),
        ("class_asr", "asr", evidence.triggered),
    ]:
        counts = np.bincount(rows.labels, minlength=3)
        sums = sum(
            values[f"{name}.{number}"] * count for number, count in enumerate(counts) if count
        )
        assert sums / len(rows) == pytest.approx(values[whole])


@given(evidences())
def test_values_are_those_of_the_spec_and_within_their_bounds(evidence):
    (spec,) = bdbench_register_metrics()
    values = measure(evidence)
    declared = {
        name: value.bounds
        for value in spec.values
        for name in ([f"{value.name}.{n}" for n in range(3)] if value.per_class else [value.name])
    }
    assert set(values) == set(declared)
    for name, (low, high) in declared.items():
        if values[name] is not None:
            assert low <= values[name] <= high
            assert type(values[name]) is float
    assert values["class_asr.1"] is None
    assert {name for name, value in values.items() if value is None} <= {
        f"{value.name}.{n}" for value in spec.values if value.per_class for n in range(3)
    }


@given(evidences(), st.randoms())
def test_the_order_of_rows_does_not_matter(evidence, random):
    def shuffled(predictions):
        order = list(range(len(predictions)))
        random.shuffle(order)
        return Predictions(
            ids=predictions.ids[order],
            labels=predictions.labels[order],
            columns={name: column[order] for name, column in predictions.columns.items()},
            rejected=predictions.rejected[order],
        )

    mixed = replace(evidence, **{name: shuffled(getattr(evidence, name)) for name in TABLES})
    assert measure(mixed) == measure(evidence)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_is_an_error(name):
    empty = table([], np.array([], dtype=np.int64))
    with pytest.raises(InputError, match="no rows to measure on"):
        measure(replace(attacked(), **{name: empty}))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_answers_that_are_not_finite_are_an_error(name, bad):
    evidence = attacked()
    good = getattr(evidence, name)
    predicted = good.columns["prediction"].astype(float)
    predicted[0] = bad
    with pytest.raises(NonFiniteError, match="prediction: the model's answers are not finite"):
        measure(replace(evidence, **{name: replace(good, columns={"prediction": predicted})}))

    probabilities = np.full((len(good), 3), 1 / 3)
    probabilities[0, 2] = bad
    columns = {"prediction": good.columns["prediction"], "probabilities": probabilities}
    with pytest.raises(NonFiniteError, match="probabilities: the model's answers are not finite"):
        measure(replace(evidence, **{name: replace(good, columns=columns)}))


def test_probabilities_of_rows_that_were_never_answered_do_not_matter():
    probabilities = np.array([[1.0, 0, 0], [np.nan] * 3])
    values = measure(
        replace(control(), clean=table([0, 1], [0, ABSTAIN], probabilities=probabilities))
    )
    assert values["clean_accuracy"] == 0.5


@pytest.mark.parametrize("name", TRIGGERED)
def test_a_triggered_row_of_the_target_class_is_an_error(name):
    broken = table([0, 1, 0, 2], [1, 1, 1, 0])
    with pytest.raises(InputError, match="1 of 4 rows whose true label is the target 1"):
        measure(replace(attacked(), **{name: broken}))


@pytest.mark.parametrize("name", TRIGGERED)
def test_a_missing_table_of_an_attacked_cell_is_an_error(name):
    with pytest.raises(InputError, match="no predictions"):
        measure(replace(attacked(), **{name: None}))


def test_a_task_without_predicted_classes_is_an_error():
    answers = replace(control().clean, columns={"text": np.array(["x"] * 5)})
    with pytest.raises(InputError, match="Found the columns text"):
        measure(replace(control(), clean=answers))


@pytest.mark.parametrize(
    "predicted",
    [
        np.array([0.0, 1.0]),
        np.array([[0], [1]]),
        np.array([0]),
        np.array(["0", "1"]),
        np.array([0, -2]),
        np.array([0, 3]),
        np.array([True, False]),
        np.array([0, None], dtype=object),
    ],
)
def test_predictions_must_be_one_class_number_a_row(predicted):
    with pytest.raises(InputError, match="not one class number for each row"):
        measure(replace(control(), clean=table([0, 1], predicted)))


def test_unknown_labels_are_an_error():
    with pytest.raises(InputError, match=r"clean rows, labels: .*, -1 to 0\. Expected .* from 0"):
        measure(replace(control(), clean=table([0, -1], [0, ABSTAIN])))


def test_rows_have_the_values_as_their_means():
    rows = Classification(None).rows(attacked())
    values = measure(attacked())

    assert set(rows) == {"clean_accuracy", "asr", "asr_floor", "lfr", "robust_accuracy"}
    assert {name: found.values.mean() for name, found in rows.items()} == pytest.approx(
        {name: values[name] for name in rows}
    )
    assert rows["asr"].values.tolist() == [1, 0, 0, 0]
    assert rows["asr"].ids.tolist() == [0, 1, 2, 3]


def test_the_control_has_rows_of_its_accuracy_only():
    assert set(Classification(None).rows(control())) == {"clean_accuracy"}


def test_each_role_has_one_value():
    (spec,) = bdbench_register_metrics()

    roles = {value.role: value.name for value in spec.values if value.role}
    assert roles == {"attack": "asr", "floor": "asr_floor", "utility": "clean_accuracy"}
