from __future__ import annotations

import math

import pytest
from wordfreq import get_frequency_dict, word_frequency

from bdbench_defense_onion.unigram import UnigramModel


@pytest.fixture(scope="module")
def model():
    return UnigramModel()


def scores(model, texts):
    return [verdict.scores for verdict in model.judge(texts)]


def perplexity(*units):
    return math.exp(sum(-math.log(word_frequency(unit, "en")) for unit in units) / len(units))


def test_is_the_difference_of_perplexities(model):
    (found,) = scores(model, ["A fine tq film"])
    units = ["a", "fine", "tq", "film"]
    expected = [
        perplexity(*units) - perplexity(*units[:number], *units[number + 1 :])
        for number in range(4)
    ]
    assert found == pytest.approx(expected, rel=1e-9)
    assert max(found) == found[2]
    assert found[0] < 0


def test_a_word_is_what_stands_between_spaces(model):
    (found,) = scores(model, ["A well-made film!"])
    whole = perplexity("a", "well", "made", "film")
    expected = [
        whole - perplexity("well", "made", "film"),
        whole - perplexity("a", "film"),
        whole - perplexity("a", "well", "made"),
    ]
    assert found == pytest.approx(expected, rel=1e-9)


def test_unknown_words_count_as_the_rarest_known(model):
    floor = min(get_frequency_dict("en").values())
    assert model.facts["frequency_floor"] == floor
    for unknown in ("zxqvjkw", "08712460324"):
        (found,) = scores(model, [f"good {unknown}"])
        known = -math.log(word_frequency("good", "en"))
        whole = math.exp((known - math.log(floor)) / 2)
        assert found == pytest.approx([whole - 1 / floor, whole - math.exp(known)], rel=1e-9)


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("", []),
        (" \n", []),
        ("cf", [False]),
        (", .", [False, False]),
        ("cf .", [False, False]),
        ("cf good .", [True, True, False]),
    ],
)
def test_where_there_is_no_perplexity_there_is_no_score(model, text, judged):
    (found,) = scores(model, [text])
    assert [score is not None for score in found] == judged


def test_is_named_as_what_it_is(model):
    assert model.facts["language_model"] == "unigram"
    assert "wordfreq" in model.facts["word_frequencies"]
