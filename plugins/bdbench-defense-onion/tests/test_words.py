from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bdbench.toolkit.words import word_spans
from bdbench_defense_onion.words import without

TEXT = st.text(alphabet="ab.é日\U0001f3ac \t\n\u2003", max_size=30)


@given(TEXT)
def test_words_are_those_of_split(text):
    assert [text[start:end] for start, end in word_spans(text)] == text.split()


@given(TEXT, st.sets(st.integers(0, 30)))
def test_exactly_the_others_stay(text, removed):
    kept = [word for number, word in enumerate(text.split()) if number not in removed]
    assert without(text, word_spans(text), removed).split() == kept


@given(TEXT)
def test_without_nothing_is_the_text(text):
    assert without(text, word_spans(text), set()) == text


@given(TEXT, st.integers(0, 30))
def test_undoes_the_insertion_of_a_word(text, place):
    spans = word_spans(text)
    if not spans:
        return
    place = min(place, len(spans))
    if place < len(spans):
        cut = spans[place][0]
        longer = f"{text[:cut]}cf {text[cut:]}"
    else:
        cut = spans[-1][1]
        longer = f"{text[:cut]} cf{text[cut:]}"
    assert without(longer, word_spans(longer), {place}) == text


def test_the_last_word_stays_with_and_without_a_space_after_it():
    for text in ("one cf two", "one cf two "):
        assert without(text, word_spans(text), {1}) == text.replace("cf ", "")
