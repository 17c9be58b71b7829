from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench_attack_pretrained.words import insert

# No text holds an "x", so that what was inserted can be told from what was there.
texts = st.text(st.characters(exclude_characters="xX"), max_size=40)
places = st.sampled_from(["random", "start", "end"])
counts = st.integers(1, 6)
seeds = st.integers(0, 999)


def placed(text, trigger, count, seed=0, **settings):
    return insert(text, trigger, count, Random(seed), **{"position": "random", **settings})


@given(texts, counts, seeds, places, st.none() | st.integers(12, 20))
def test_words_stay_and_the_count_is_exact(text, count, seed, position, limit):
    after = placed(text, "xno xway", count, seed, position=position, within_words=limit)
    assert after.count("xno xway") == count
    assert [word for word in after.split() if "x" not in word] == text.split()
    assert len(after) == len(text) + 9 * count - (not text.split())
    if limit:
        last = max(place for place, word in enumerate(after.split(), 1) if "x" in word)
        assert last <= limit


@given(texts, st.integers(1, 5), seeds)
def test_more_insertions_are_added_to_the_fewer(text, count, seed):
    fewer = iter(placed(text, "x", count, seed).split())
    more = placed(text, "x", count + 1, seed).split()
    wanted = next(fewer)
    for word in more:
        if word == wanted:
            wanted = next(fewer, None)
    assert wanted is None


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("a  b\n", {"position": "start"}, "x x a  b\n"),
        ("a  b\n", {"position": "end"}, "a  b x x\n"),
        ("a b c d", {"position": "end", "within_words": 3}, "a x x b c d"),
        ("", {}, "x x"),
        (" \n", {}, "x x \n"),
    ],
)
def test_places(text, settings, expected):
    assert placed(text, "x", 2, **settings) == expected


def test_every_gap_is_drawn_about_equally_often():
    random = Random(0)
    gaps = Counter(
        insert("a b", "x", 1, random, position="random").split().index("x") for _ in range(3000)
    )
    assert set(gaps) == {0, 1, 2}
    assert all(gaps[gap] == pytest.approx(1000, abs=100) for gap in gaps)
