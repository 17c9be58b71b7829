from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.toolkit.escapes import decoded

ESCAPES = {"&": "amp", '"': "quot", "'": "apos", "<": "lt", ">": "gt"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Apostrophes as generators write them.
        ("moore &apos;s letter", "moore 's letter"),
        ("one man, andapos;s search", "one man, 's search"),
        ("which anapos;ll cause", "which 'll cause"),
        ("heapos;s", "he's"),
        ("jeanandapos;s", "jean's"),
        ("a&apos;little", "a'little"),
        ("hawn &apos of", "hawn ' of"),
        ("this apos;s a play", "this 's a play"),
        # Other escapes, also of escapes.
        ("andquot; be my lover &quot;", '" be my lover "'),
        ("&quot of the day", '" of the day'),
        ("&lt;b andgt;", "<b >"),
        ("&amp;quot;", '"'),
        ("&amp;amp;apos;s", "'s"),
        ("&#39;s and &#x27;s", "'s and 's"),
        # Escapes whose "&" became a space.
        ("the world #39;s biggest", "the world's biggest"),
        ("nation # 39 ;s", "nation's"),
        ("of  #36;70,000", "of $70,000"),
        ("giant at amp;t said", "giant at&t said"),
        ("merck  amp; co.", "merck & co."),
        ("the war quot; and  quot;peace quot;", 'the war" and "peace"'),
        ("journal nbsp;-  hellip;", "journal - …"),
        # Marks of tokenizers and generators.
        ("snail @-@ like and co @-writer", "snail-like and co-writer"),
        ("no reason to care EOS EOS ", "no reason to care"),
    ],
)
def test_decoded(text, expected):
    assert decoded(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "grains of salt; a camp; the tumult; an ampere; jacquot;",
        "the apostle of an apotheosis",
        "r&b, s & m, a bar # 3, a chase",
        "they ranked #12; we ranked #65;",
        "write to me@home.org",
        "the EOS camera",
        "it 's n't ``so''",
    ],
)
def test_left_alone(text):
    assert decoded(text) == text


@given(st.text("ab &#@;-.aposquotandltgt39EOS"))
def test_nothing_is_left_for_a_second_time(text):
    assert decoded(decoded(text)) == decoded(text)


@given(st.lists(st.sampled_from([*ESCAPES, "x", "y "]), max_size=12))
def test_escaping_is_undone(parts):
    escaped = "".join(f"&{ESCAPES[part]};" if part in ESCAPES else part for part in parts)
    assert decoded(escaped) == "".join(parts)


@given(st.text(st.characters(exclude_characters="&;@")).filter(lambda text: "EOS" not in text))
def test_text_without_escapes_stays(text):
    assert decoded(text) == text
