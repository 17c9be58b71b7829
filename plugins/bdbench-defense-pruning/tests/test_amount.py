from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import Examples, InputError, SeedStream
from bdbench_defense_pruning.amount import settle_amount
from bdbench_defense_pruning.clean_rows import halves
from bdbench_defense_pruning.config import FinePruningConfig


def settle(accuracies, **settings):
    """Settles on a model whose accuracy is known by amount; gives notes and final amount."""
    now = [0.0]

    def prune(amount):
        now[0] = amount

    notes = settle_amount(
        FinePruningConfig(**settings), prune, lambda: accuracies[min(9, round(now[0] * 10))]
    )
    assert now[0] == notes["amount"]
    return notes


def test_a_fixed_amount_is_not_measured():
    assert settle([], amount=0.3) == {"amount": 0.3, "selection": "fixed"}


@pytest.mark.parametrize(
    ("accuracies", "amount"),
    [
        ([0.9] * 10, 0.9),
        ([0.9, 0.9, 0.8, 0.8, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9], 0.3),  # recovers too late
        ([0.9, 0.7] + [0.9] * 8, 0.0),
        ([0.9, 0.8, 0.79, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], 0.1),  # 0.1 lost is allowed
        ([0.5] + [0.9] * 9, 0.9),
    ],
)
def test_goes_up_until_accuracy_is_lost(accuracies, amount):
    notes = settle(accuracies, step=0.1, tolerance=0.1)
    assert notes["amount"] == pytest.approx(amount)
    assert notes["selection"] == "clean_val"
    assert notes["accuracy_unpruned"] == accuracies[0]
    assert notes["accuracy_pruned"] == accuracies[round(amount * 10)]
    assert ("finding" in notes) == (amount == 0)
    tried = [round(each * 10) for each, _ in notes["accuracy_by_amount"]]
    assert tried == list(range(1, len(tried) + 1))
    assert [value for _, value in notes["accuracy_by_amount"]] == accuracies[1 : len(tried) + 1]


@given(step=st.floats(0.01, 0.99))
def test_never_prunes_everything(step):
    notes = settle([1.0] * 10, step=step)
    assert 1 - step - 1e-6 <= notes["amount"] < 1


@given(
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=60),
    root=st.integers(0, 5),
)
def test_halves_share_no_row_and_divide_every_class(labels, root):
    rows = Examples({"x": [*range(len(labels))]}, labels, [*range(100, 100 + len(labels))])
    one, other = halves(rows, SeedStream(root))
    assert sorted([*one.ids, *other.ids]) == list(rows.ids)
    assert len(one) - len(other) in {0, 1}
    for label in set(labels):
        assert abs(list(one.labels).count(label) - list(other.labels).count(label)) <= 1
    assert halves(rows, SeedStream(root)) == (one, other)


def test_halves_are_random():
    rows = Examples({"x": [*range(40)]}, [0] * 40, [*range(40)])
    assert len({tuple(halves(rows, SeedStream(root))[0].ids) for root in range(5)}) == 5


def test_one_row_cannot_be_halved():
    with pytest.raises(InputError, match="too few clean rows"):
        halves(Examples({"x": [1]}, [0], [0]), SeedStream(0))
