from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench_metric_stealth.words import changed_share, edit_distance


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a cf b c", 1 / 4),
        ("a b c d", "a b d", 1 / 4),
        ("a b c", "a x c", 1 / 3),
        ("a b", "b a", 1),
        ("a b", "c d e f", 1),
        ("no cross", "no cross , no crown", 3 / 5),
        ("Good film.", "good film .", 1),
        ("a  b\n", "a b", 0),
        ("", "cf", 1),
        ("a", "", 1),
        ("", " ", 0),
    ],
)
def test_known_values(before, after, share):
    assert changed_share(before, after) == pytest.approx(share)


texts = st.lists(st.sampled_from("abc"), max_size=7)


@given(texts, texts)
def test_the_distance_is_that_of_its_definition(one, other):
    @cache
    def distance(row, column):
        if not row or not column:
            return row + column
        return min(
            distance(row - 1, column) + 1,
            distance(row, column - 1) + 1,
            distance(row - 1, column - 1) + (one[row - 1] != other[column - 1]),
        )

    found = edit_distance(one, other)
    assert found == distance(len(one), len(other)) == edit_distance(other, one)
    share = changed_share(" ".join(one), " ".join(other))
    assert 0 <= share <= 1
    assert (share == 0) == (one == other)
