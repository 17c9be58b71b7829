from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import InputError
from bdbench_defense_onion.scoring import Verdict
from bdbench_defense_onion.threshold import quantile_threshold

SCORES = st.lists(st.floats(-1e4, 1e4), min_size=20, max_size=300)
QUANTILE = st.sampled_from([0.5, 0.9, 0.95])


def threshold_of(*texts, quantile):
    return quantile_threshold([Verdict(tuple(text)) for text in texts], quantile)


@given(SCORES, QUANTILE)
def test_no_more_words_go_than_the_quantile_allows(scores, quantile):
    threshold = threshold_of(scores, quantile=quantile)
    assert sum(score > threshold for score in scores) <= (1 - quantile) * len(scores) + 1e-9


@given(st.sets(st.integers(-1000, 1000), min_size=20, max_size=300), QUANTILE)
def test_scores_apart_use_up_what_it_allows(scores, quantile):
    threshold = threshold_of(scores, quantile=quantile)
    allowed = math.floor((1 - quantile) * len(scores) + 1e-9)
    assert sum(score > threshold for score in scores) == allowed


@given(SCORES, QUANTILE, st.randoms())
def test_rounding_does_not_decide_about_a_clean_word(scores, quantile, random):
    threshold = threshold_of(scores, quantile=quantile)
    again = [score + random.uniform(-1, 1) * 1e-6 * max(1.0, abs(score)) for score in scores]
    for before, after in zip(scores, again, strict=True):
        assert (before > threshold) == (after > threshold)


@given(SCORES, QUANTILE)
def test_how_words_are_spread_over_texts_does_not_matter(scores, quantile):
    spread = [tuple(scores[1::2][::-1]), (None,), (), (*scores[::2], None)]
    assert threshold_of(*spread, quantile=quantile) == threshold_of(scores, quantile=quantile)


@pytest.mark.parametrize(
    ("quantile", "least"), [(0.9999, 10000), (0.99, 100), (0.95, 20), (0.9, 10), (0.5, 2)]
)
def test_too_few_words_are_refused(quantile, least):
    threshold_of(range(least), quantile=quantile)
    with pytest.raises(InputError, match=f"{least - 1} words .* at least {least} for"):
        threshold_of(range(least - 1), (None,) * 50, quantile=quantile)


def test_equal_scores_stay_together():
    assert threshold_of([1.0] * 50 + [9.0] * 50, quantile=0.9) > 9.0
