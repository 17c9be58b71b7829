"""The order in which rows are granted: balanced, nested, and decided by rows and seed alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bdbench.api import Examples, SeedStream
from bdbench.engine.context import balanced_order


def examples(labels):
    return Examples({"text": [""] * len(labels)}, labels, list(range(len(labels))))


LABELS = st.lists(st.integers(0, 3), max_size=60)


@settings(max_examples=100, deadline=None)
@given(LABELS, st.integers(0, 99))
def test_every_row_comes_once(labels, seed):
    order = balanced_order(examples(labels), SeedStream(seed))

    assert sorted(order) == list(range(len(labels)))


@settings(max_examples=100, deadline=None)
@given(LABELS, st.integers(0, 99))
def test_every_beginning_is_as_balanced_as_the_rows_allow(labels, seed):
    order = balanced_order(examples(labels), SeedStream(seed))
    totals = {label: labels.count(label) for label in set(labels)}

    counts = dict.fromkeys(totals, 0)
    for row in order:
        counts[labels[row]] += 1
        left = [counts[label] for label in totals if counts[label] < totals[label]]
        # No class is more than one ahead of another that has rows left.
        assert not left or max(counts.values()) - min(left) <= 1


@settings(max_examples=30, deadline=None)
@given(LABELS)
def test_the_same_rows_and_seed_give_the_same_order(labels):
    one, again = (balanced_order(examples(labels), SeedStream(7)) for _ in range(2))

    assert one == again


def test_another_seed_gives_another_order():
    labels = [0, 1] * 20

    assert balanced_order(examples(labels), SeedStream(0)) != balanced_order(
        examples(labels), SeedStream(1)
    )


def test_answers_that_are_no_classes_are_ordered_too():
    labels = [[1, 2], [1, 2], None, {"a": 1}]

    assert sorted(balanced_order(examples(labels), SeedStream(0))) == [0, 1, 2, 3]
