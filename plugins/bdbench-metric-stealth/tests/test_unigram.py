from __future__ import annotations

import math

import pytest
from wordfreq import word_frequency

from bdbench_metric_stealth.unigram import unigram_perplexities


def test_perplexity_is_the_inverse_of_the_geometric_mean_of_frequencies():
    found = unigram_perplexities(["the", "The film!", "film the"])
    the, film = word_frequency("the", "en"), word_frequency("film", "en")
    assert found["the"] == pytest.approx(1 / the)
    assert found["The film!"] == found["film the"] == pytest.approx(1 / math.sqrt(the * film))


def test_unknown_words_are_as_rare_as_the_rarest_known_one():
    one, other, known = "qqzxqzq", "xxqqzzqx", "the"
    found = unigram_perplexities([one, other, known])
    assert found[one] == found[other] > 1e6 > found[known]


def test_texts_without_words_have_none():
    assert unigram_perplexities(["", " ", ",", "?!"]) == {}
