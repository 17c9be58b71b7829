from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.toolkit.words import insert, sentence_gaps, word_spans


def placed(text, *additions):
    return insert(text, word_spans(text), additions)


@pytest.mark.parametrize(
    ("text", "additions", "expected"),
    [
        ("a good film", [(0, "cf")], "cf a good film"),
        ("a good film", [(1, "cf")], "a cf good film"),
        ("a good film", [(3, "cf")], "a good film cf"),
        ("a good film", [(1, "cf"), (1, "mn"), (3, "bb"), (3, "tq")], "a cf mn good film bb tq"),
        (" A  good\nFilm \n", [(0, "cf"), (2, "mn"), (3, "bb")], " cf A  good\nmn Film bb \n"),
        ("", [(0, "cf"), (0, "mn")], "cf mn"),
        (" \n", [(0, "cf")], "cf \n"),
    ],
)
def test_insertion_leaves_the_rest_as_it_is(text, additions, expected):
    assert placed(text, *additions) == expected


@given(st.text())
def test_a_word_is_what_split_says(text):
    assert [text[start:end] for start, end in word_spans(text)] == text.split()


@given(st.text(), st.data())
def test_insertion_adds_words_at_their_gaps_and_nothing_else(text, data):
    words = text.split()
    gaps = sorted(data.draw(st.lists(st.integers(0, len(words)), min_size=1, max_size=4)))
    marks = [f"\ue000{number}" for number in range(len(gaps))]
    result = placed(text, *zip(gaps, marks, strict=True))

    expected = list(words)
    for number, (gap, mark) in enumerate(zip(gaps, marks, strict=True)):
        expected.insert(gap + number, mark)
    assert result.split() == expected
    assert len(result) == len(text) + sum(map(len, marks)) + len(marks) - (not words)


@pytest.mark.parametrize(
    ("text", "gaps"),
    [
        ("", [0]),
        ("one sentence only", [0, 3]),
        ("It ends. Then more", [0, 2, 4]),
        ('He said "stop!" (twice?) and left ...', [0, 3, 4, 7]),
        ("the film . it is good .", [0, 3, 7]),
        ("costs 3.50 today", [0, 3]),
    ],
)
def test_sentences_end_where_their_last_word_does(text, gaps):
    assert sentence_gaps(text, word_spans(text)) == gaps
