"""Batches: every row once, whatever the sizes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdbench.engine.batching import POOL, evaluation_batches, training_batches

SIZES = st.lists(st.integers(0, 5000), max_size=300)


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(1, 40), st.integers())
def test_an_epoch_has_every_row_once_in_batches_of_the_size(sizes, batch_size, seed):
    batches = training_batches(sizes, batch_size, random.Random(seed))

    assert sorted(row for batch in batches for row in batch) == list(range(len(sizes)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    # The schedule of the learning rate counts on this number.
    assert len(batches) == -(-len(sizes) // batch_size)


@settings(max_examples=50, deadline=None)
@given(SIZES, st.integers(1, 40), st.integers())
def test_the_same_seed_gives_the_same_batches(sizes, batch_size, seed):
    once, again = (training_batches(sizes, batch_size, random.Random(seed)) for _ in range(2))

    assert once == again


def test_another_seed_gives_another_order_and_other_batches():
    one, other = (training_batches([1] * 64, 8, random.Random(seed)) for seed in (0, 1))

    assert one != other
    assert {frozenset(batch) for batch in one} != {frozenset(batch) for batch in other}


def test_batches_hold_rows_of_similar_size_in_an_order_that_size_does_not_tell():
    sizes = [row % 100 for row in range(POOL * 10)]
    batches = training_batches(sizes, 10, random.Random(0))

    spreads = [
        max(sizes[row] for row in batch) - min(sizes[row] for row in batch) for batch in batches
    ]
    assert max(spreads) <= 2
    firsts = [sizes[batch[0]] for batch in batches]
    assert firsts not in (sorted(firsts), sorted(firsts, reverse=True))


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(1, 6000), st.integers(1, 50))
def test_evaluation_has_every_row_once_and_keeps_to_its_limits(sizes, max_size, max_rows):
    batches = list(evaluation_batches(sizes, max_size, max_rows))

    assert sorted(row for batch in batches for row in batch) == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch) <= max_rows
        # Padding counts; a row that is too large by itself stands alone.
        assert len(batch) * max(sizes[row] for row in batch) <= max_size or len(batch) == 1


def test_evaluation_starts_with_what_needs_most_memory():
    batches = list(evaluation_batches([3, 9, 1, 9, 5], max_size=18))

    assert batches == [[1, 3], [4, 0, 2]]


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_make_few_batches(count):
    assert training_batches([1] * count, 8, random.Random(0)) == [[0]][:count]
    assert list(evaluation_batches([1] * count)) == [[0]][:count]
