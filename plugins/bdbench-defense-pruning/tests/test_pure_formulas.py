from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bdbench_defense_pruning.head_choice import heads_to_prune
from bdbench_defense_pruning.head_scores import attention_norm, cls_variance, layer_coefficients

SCORES = [[0.5, 0.1, 0.4], [0.2, 0.9, 0.3]]


def maps(layers, n, heads, tokens, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.rand(n, heads, tokens, tokens, generator=draw).softmax(-1) for _ in range(layers)]


@pytest.mark.parametrize("tokens", [3, 7, 8, 11])
def test_variance_is_that_of_the_row_padded_to_length(tokens):
    (weights,) = maps(1, 4, 2, tokens)
    found = cls_variance(weights, 8).numpy()
    for text in range(4):
        for head in range(2):
            row = np.zeros(7)
            entries = weights[text, head, 0].double().numpy()[:7]
            row[: len(entries)] = entries
            assert found[text, head] == pytest.approx(row.var(ddof=1))


def test_variance_does_not_depend_on_the_batch():
    (weights,) = maps(1, 3, 2, 5)
    wider = torch.nn.functional.pad(weights, (0, 4, 0, 4))
    assert torch.allclose(cls_variance(weights, 128), cls_variance(wider, 128))


def test_coefficients_by_hand():
    # Means of what is left: 0.45, 0.2 and 0.3; one over them, shared out, from 0 to 1.
    found = layer_coefficients([[0.5, 0.1, 0.4], [0.2], [0.3, 7.0]], [{1}, set(), [1]])
    shares = np.array([1 / 0.45, 1 / 0.2, 1 / 0.3])
    shares /= shares.sum()
    expected = (shares - shares.min()) / (shares.max() - shares.min())
    assert found == pytest.approx(expected.tolist())


def test_coefficients_of_layers_that_are_alike():
    assert layer_coefficients([[0.2], [0.2]], [set(), set()]) == [1.0, 1.0]
    assert layer_coefficients([[0.2, 0.5]], [set()]) == [1.0]


def test_norm_by_hand():
    both = maps(2, 3, 2, 4)
    found = attention_norm(both, [[0, 1], [1]], [0.25, 1.0])
    expected = 0.0
    for coefficient, weights, heads in zip([0.25, 1.0], both, [[0, 1], [1]], strict=True):
        for head in heads:
            squares = [float(weights[text, head, 0, j]) ** 2 for text in range(3) for j in range(4)]
            expected += coefficient * sum(squares) ** 0.5
    assert float(found) == pytest.approx(expected)


def test_norm_of_nothing_has_a_gradient():
    weights = torch.zeros(2, 1, 3, 3, requires_grad=True)
    attention_norm([weights], [[0]], [1.0]).backward()
    assert not weights.grad.any()


def test_prunes_lowest_first_and_leaves_one_in_each_layer():
    tried = []

    def accuracy(heads):
        tried.append(heads)
        return 1.0

    chosen = heads_to_prune(SCORES, accuracy, group=2, least=0.85)
    assert tried == [{(0, 1), (1, 0)}, {(0, 1), (1, 0), (1, 2), (0, 2)}]
    assert chosen == tried[-1]


def test_takes_heads_back_until_the_accuracy_is_kept():
    needed = {(1, 2)}
    tried = []

    def accuracy(heads):
        tried.append(heads)
        return 0.5 if heads & needed else 0.9

    chosen = heads_to_prune(SCORES, accuracy, group=4, least=0.85)
    assert tried == [
        {(0, 1), (1, 0), (1, 2), (0, 2)},
        {(0, 1), (1, 0), (1, 2)},
        {(0, 1), (1, 0)},
    ]
    assert chosen == {(0, 1), (1, 0)}


def test_ends_after_the_group_in_which_heads_came_back():
    def accuracy(heads):
        return 0.5 if (1, 0) in heads else 0.9

    # (1, 2) and (0, 2) would do no harm, but their group is not tried any more.
    assert heads_to_prune(SCORES, accuracy, group=2, least=0.85) == {(0, 1)}


def test_prunes_nothing_where_the_accuracy_is_too_low_before():
    assert heads_to_prune(SCORES, lambda _: 0.6, group=2, least=0.85) == set()


@given(
    scores=st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=1, max_size=4),
    group=st.integers(1, 20),
    spoils=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3))),
)
def test_whatever_is_chosen_keeps_the_accuracy_and_a_head_in_each_layer(scores, group, spoils):
    chosen = heads_to_prune(scores, lambda heads: float(not heads & spoils), group=group, least=1)
    assert not chosen & spoils
    for layer, row in enumerate(scores):
        left = [value for head, value in enumerate(row) if (layer, head) not in chosen]
        assert max(row) in left
        assert all((layer, head) in chosen or head < len(row) for head in range(len(row)))
