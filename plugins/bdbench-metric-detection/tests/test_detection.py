from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import Decisions, Evidence, InputError, NonFiniteError, Predictions, Task
from bdbench_metric_detection.detection import Detection
from bdbench_metric_detection.hooks import bdbench_register_metrics

TASK = Task("any-task", ("text",), ("a", "b", "c"))
NAMES = ["auroc", "tpr_at_1_fpr", "tpr_at_5_fpr", "frr", "far"]


def table(scores, rejected=None, rewritten=None):
    rows = 3 if scores is None else len(scores)
    return Predictions(
        ids=np.arange(rows),
        labels=np.arange(rows) % 3,
        columns={},
        rejected=np.zeros(rows, dtype=bool) if rejected is None else np.array(rejected, dtype=bool),
        scores=None if scores is None else np.array(scores, dtype=float),
        rewritten=None if rewritten is None else np.array(rewritten, dtype=bool),
    )


def decisions(poisoned, kept, scores):
    return Decisions(
        ids=np.arange(len(scores)),
        poisoned=np.array(poisoned, dtype=bool),
        kept=np.array(kept, dtype=bool),
        scores=np.array(scores, dtype=float),
    )


def evidence(clean=None, triggered=None, filtering=None):
    nothing = table(None)
    return Evidence(
        task=TASK,
        target=1,
        clean=clean or nothing,
        undefended_clean=nothing,
        control_clean=nothing,
        triggered=triggered or nothing,
        undefended_triggered=nothing,
        floor=nothing,
        filtering=filtering,
    )


def measure(prefix=None, **tables):
    values = Detection(None).measure(evidence(**tables))
    return values if prefix is None else [values[f"{prefix}_{name}"] for name in NAMES]


def test_without_screen_and_filter_there_is_nothing_to_measure():
    assert set(measure().values()) == {None}


def test_known_values_of_a_screen():
    found = measure(
        "screen",
        clean=table([0, 1, 2, 3], rejected=[0, 0, 0, 1], rewritten=[1, 0, 0, 1]),
        triggered=table([3, 5, 1], rejected=[0, 1, 0], rewritten=[0, 1, 0]),
    )
    # Pairs won: 3.5 of 4, 4 of 4, 1.5 of 4. Only the threshold 5 alarms on no clean row.
    assert found == pytest.approx([9 / 12, 1 / 3, 1 / 3, 2 / 4, 2 / 3])


def test_known_values_of_a_filter():
    found = measure(
        "filter",
        filtering=decisions([1, 0, 1, 0, 0], [0, 1, 1, 0, 1], [9.0, 1.0, 2.0, 2.0, -1.0]),
    )
    assert found == pytest.approx([5.5 / 6, 1 / 2, 1 / 2, 1 / 3, 1 / 2])


def test_screen_and_filter_do_not_mix():
    screen = {"clean": table([0, 1]), "triggered": table([2, 3])}
    values = measure(**screen, filtering=decisions([1, 0], [1, 0], [0, 1]))
    assert (values["screen_auroc"], values["filter_auroc"]) == (1, 0)
    assert (values["screen_frr"], values["filter_frr"]) == (0, 1)
    assert measure("filter", **screen) == [None] * 5
    assert measure("screen", filtering=decisions([1, 0], [1, 0], [0, 1])) == [None] * 5


def test_a_rewritten_row_and_a_rejected_one_are_alarms():
    alarms = {"rejected": [1, 0, 0, 0], "rewritten": [0, 1, 0, 0]}
    values = measure(clean=table([0] * 4, **alarms), triggered=table([0] * 4, **alarms))
    assert (values["screen_frr"], values["screen_far"]) == (1 / 2, 1 / 2)
    only = {"rejected": [1, 0, 0, 0]}
    values = measure(clean=table([0] * 4, **only), triggered=table([0] * 4, **only))
    assert (values["screen_frr"], values["screen_far"]) == (1 / 4, 3 / 4)


def test_equal_scores_tell_nothing_apart():
    assert measure("screen", clean=table([7] * 9), triggered=table([7] * 4)) == [1 / 2, 0, 0, 0, 1]


def test_one_clean_row_in_a_hundred_may_be_above_the_threshold():
    # Clean rows at 0 ... 99: one of them reaches 99, five reach 95.
    clean = list(range(100))
    values = measure(clean=table(clean), triggered=table([99, 95, 94, 0]))
    assert values["screen_tpr_at_1_fpr"] == 1 / 4
    assert values["screen_tpr_at_5_fpr"] == 2 / 4
    values = measure(clean=table(clean[1:]), triggered=table([99, 95, 94, 0]))
    assert values["screen_tpr_at_1_fpr"] == 0
    assert values["screen_tpr_at_5_fpr"] == 1 / 4


def test_clean_rows_of_the_target_class_are_negatives():
    values = measure(
        clean=replace(table([0, 9], rejected=[0, 1]), labels=np.array([0, 1])),
        triggered=table([5]),
    )
    assert (values["screen_auroc"], values["screen_frr"]) == (1 / 2, 1 / 2)


def test_on_the_control_the_false_rejections_remain():
    screened = replace(evidence(clean=table([0, 1], rejected=[0, 1])), target=None, triggered=None)
    values = Detection(None).measure(screened)
    assert {name for name, value in values.items() if value is not None} == {"screen_frr"}
    assert values["screen_frr"] == 1 / 2
    assert measure("filter", filtering=decisions([0, 0], [0, 1], [1, 2])) == [
        *[None] * 3,
        1 / 2,
        None,
    ]


def test_where_every_row_is_poisoned_the_false_acceptances_remain():
    found = measure("filter", filtering=decisions([1, 1], [0, 1], [1, 2]))
    assert found == [*[None] * 4, 1 / 2]


def test_without_any_row_there_is_nothing():
    assert measure("filter", filtering=decisions([], [], [])) == [None] * 5
    assert measure("screen", clean=table([]), triggered=table([])) == [None] * 5


grades = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


@given(grades, grades)
def test_scores_count_as_their_definitions_say(clean, poisoned):
    values = measure(clean=table(clean), triggered=table(poisoned))
    wins = sum((high > low) + (high == low) / 2 for high in poisoned for low in clean)
    assert values["screen_auroc"] == pytest.approx(wins / len(clean) / len(poisoned))
    for percent in (1, 5):
        best = max(
            sum(score >= threshold for score in poisoned) / len(poisoned)
            for threshold in [*clean, *poisoned, np.inf]
            if sum(score >= threshold for score in clean) * 100 <= percent * len(clean)
        )
        assert values[f"screen_tpr_at_{percent}_fpr"] == pytest.approx(best)


flags = st.tuples(st.booleans(), st.booleans(), st.integers(-3, 3))


@given(st.lists(flags, min_size=1, max_size=15), st.randoms())
def test_the_order_of_rows_does_not_matter(rows, random):
    def both(rows):
        first, second, scores = (np.array(column) for column in zip(*rows, strict=True))
        screened = table(scores, rejected=first, rewritten=second)
        return measure(
            clean=screened, triggered=screened, filtering=decisions(first, second, scores)
        )

    mixed = list(rows)
    random.shuffle(mixed)
    values = both(rows)
    assert both(mixed) == values
    (spec,) = bdbench_register_metrics()
    assert list(values) == [value.name for value in spec.values]
    for value in spec.values:
        low, high = value.bounds
        found = values[value.name]
        assert found is None or (type(found) is float and low <= found <= high)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(bad):
    good, broken = table([0, 1]), table([0, bad])
    for tables, where in [
        ({"clean": broken, "triggered": good}, "clean rows"),
        ({"clean": good, "triggered": broken}, "triggered rows"),
        ({"filtering": decisions([0, 1], [1, 1], [0, bad])}, "training rows"),
    ]:
        with pytest.raises(NonFiniteError, match=f"{where}, .*not finite. Found 1 of 2"):
            measure(**tables)


@pytest.mark.parametrize(
    "broken",
    [
        {"scores": np.zeros((2, 1))},
        {"scores": np.zeros(3)},
        {"scores": np.array(["a", "b"])},
        {"rejected": np.zeros(2)},
        {"rejected": np.zeros(3, dtype=bool)},
    ],
)
def test_each_row_has_one_score_and_one_decision(broken):
    with pytest.raises(InputError, match="not one score and one decision for each row"):
        measure(clean=replace(table([0, 1]), **broken), triggered=table([0]))


def test_both_test_sets_or_none_are_screened():
    with pytest.raises(InputError, match=r"clean rows: only one of the two"):
        measure(clean=table(None), triggered=table([1]))
    with pytest.raises(InputError, match=r"triggered rows: only one of the two"):
        measure(clean=table([1]), triggered=table(None))
