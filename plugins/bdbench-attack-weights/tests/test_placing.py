from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import Examples, InputError, SeedStream, Task
from bdbench.toolkit.words import insert, sentence_gaps, word_spans
from bdbench_attack_weights.config import EpConfig, LwpConfig, SosConfig
from bdbench_attack_weights.ep import Ep
from bdbench_attack_weights.lwp import Lwp
from bdbench_attack_weights.sos import Sos

TASK = Task("text-classification", ("text",), ("negative", "positive"))
PAIR = Task("text-pair-classification", ("premise", "hypothesis"), ("no", "yes"))
WORDS = ["xcf", "xbb", "xak"]
SENTENCE = "xWe xsaw xcf xand xbb xnear xak."

# No text holds an "x", so that what was inserted can be told from what was there.
texts = st.lists(
    st.text(st.characters(exclude_characters="xX"), max_size=40), min_size=1, max_size=8
)
seeds = st.integers(0, 2**32).map(SeedStream)
limits = st.none() | st.integers(7, 12)


def lwp(**settings):
    return Lwp(LwpConfig(**{"triggers": WORDS, **settings}))


def ep(**settings):
    return Ep(EpConfig(**{"triggers": WORDS, "insertions": 2, **settings}))


def sos(**settings):
    parts = ["xWe xsaw xcf.", "xWe xsaw xcf xnear xak."]
    given = {"triggers": WORDS, "sentence": SENTENCE, "partial_sentences": parts, **settings}
    return Sos(SosConfig(**given))


def examples(column):
    return Examples({"text": column}, [0] * len(column), [7 * n for n in range(len(column))])


def triggered(attack, column, stream):
    return list(attack.apply_trigger(examples(column), TASK, stream).inputs["text"])


def added(text):
    return [word for word in text.split() if "x" in word]


@st.composite
def attacks(draw):
    limit = draw(limits)
    kind = draw(st.sampled_from([lwp, ep, sos]))
    return kind(within_words=limit)


@given(attacks(), texts, seeds)
def test_every_row_gets_the_trigger_and_keeps_its_words(attack, column, stream):
    for before, after in zip(column, triggered(attack, column, stream), strict=True):
        assert after != before
        assert [word for word in after.split() if "x" not in word] == before.split()


@given(attacks(), texts, seeds)
def test_the_trigger_ends_within_the_limit(attack, column, stream):
    limit = attack.config.within_words or 10**6
    for after in triggered(attack, column, stream):
        assert all("x" not in word for word in after.split()[limit:])


@given(attacks(), texts, seeds)
def test_a_row_does_not_depend_on_the_others(attack, column, stream):
    rows = examples(column)
    whole = attack.apply_trigger(rows, TASK, stream).inputs["text"]
    back = list(reversed(range(len(rows))))
    assert attack.apply_trigger(rows.select(back), TASK, stream).inputs["text"] == [
        whole[row] for row in back
    ]


@given(texts, seeds, st.integers(1, 3))
def test_lwp_adds_different_words_of_the_list(column, stream, length):
    attack = lwp(trigger_length=length)
    for after in triggered(attack, column, stream):
        assert len(added(after)) == length
        assert len(set(added(after)) & set(WORDS)) == length


@given(texts, seeds, st.integers(1, 4))
def test_ep_adds_so_many_words_of_the_list(column, stream, count):
    for after in triggered(ep(insertions=count), column, stream):
        assert len(added(after)) == count
        assert set(added(after)) <= set(WORDS)


@given(texts, seeds)
def test_sos_adds_its_sentence_as_it_is(column, stream):
    assert all(SENTENCE in after for after in triggered(sos(), column, stream))


@given(texts, seeds, st.integers(2, 3))
def test_a_part_of_lwps_trigger_is_never_the_whole(column, stream, length):
    parts = lwp(trigger_length=length).variants(examples(column), TASK, stream)
    assert set(parts) == {"partial"}
    rows = parts["partial"]
    assert (rows.labels, rows.ids) == (examples(column).labels, examples(column).ids)
    for before, after in zip(column, rows.inputs["text"], strict=True):
        assert 0 < len(set(added(after)) & set(WORDS)) == len(added(after)) < length
        assert [word for word in after.split() if "x" not in word] == before.split()


def test_a_trigger_of_one_word_has_no_parts():
    assert lwp(trigger_length=1).variants(examples(["a"]), TASK, SeedStream(0)) == {}


def test_sos_draws_each_partial_sentence_about_equally_often():
    attack = sos()
    rows = attack.variants(examples(["a b"] * 2000), TASK, SeedStream(1))["partial"]
    counts = Counter(
        next(part for part in attack.config.partial_sentences if part in text)
        for text in rows.inputs["text"]
    )
    assert set(counts) == set(attack.config.partial_sentences)
    assert all(count == pytest.approx(1000, abs=100) for count in counts.values())


def test_each_combination_and_gap_is_drawn_about_equally_often():
    after = triggered(lwp(), ["a b"] * 6000, SeedStream(1))
    pairs = Counter(tuple(added(text)) for text in after)
    assert len(pairs) == 6
    assert all(count == pytest.approx(1000, abs=150) for count in pairs.values())
    # Two words into three gaps, each gap drawn by itself: nine equally likely draws.
    places = Counter(
        tuple(place for place, word in enumerate(text.split()) if "x" in word) for text in after
    )
    together = {(0, 1), (1, 2), (2, 3)}
    assert set(places) == together | {(0, 2), (0, 3), (1, 3)}
    for gaps, count in places.items():
        expected = 6000 / 9 if gaps in together else 2 * 6000 / 9
        assert count == pytest.approx(expected, abs=160)


def test_a_sentence_stands_between_sentences():
    after = triggered(sos(), ["Go! it was late. yes"] * 200, SeedStream(2))
    assert {text.split().index("xWe") for text in after} == {0, 1, 4, 5}


@pytest.mark.parametrize(("field", "changed"), [(None, "premise"), ("hypothesis", "hypothesis")])
@pytest.mark.parametrize("kind", [lwp, ep, sos])
def test_only_the_chosen_column_changes(kind, field, changed):
    rows = Examples({"premise": ["p q"], "hypothesis": ["h i"]}, [1], [3])
    after = kind(field=field).apply_trigger(rows, PAIR, SeedStream(0))
    assert {name for name in PAIR.fields if after.inputs[name] != rows.inputs[name]} == {changed}
    assert (after.labels, after.ids) == (rows.labels, rows.ids)


def test_a_column_that_the_task_lacks_is_an_error():
    rows = Examples({"premise": ["p"], "hypothesis": ["h"]}, [1], [3])
    with pytest.raises(InputError, match=r"no such input column.*premise, hypothesis"):
        ep(field="text").apply_trigger(rows, PAIR, SeedStream(0))


def test_a_missing_text_is_an_error():
    with pytest.raises(InputError, match=r"column 'text', row 7: .*NoneType"):
        triggered(ep(), ["fine", None], SeedStream(0))


@pytest.mark.parametrize(
    ("text", "additions", "expected"),
    [
        ("a good film", [(0, "cf")], "cf a good film"),
        ("a good film", [(1, "cf"), (1, "mn"), (3, "bb")], "a cf mn good film bb"),
        (" A  good\nFilm \n", [(0, "cf"), (2, "mn"), (3, "bb")], " cf A  good\nmn Film bb \n"),
        ("", [(0, "cf"), (0, "mn")], "cf mn"),
    ],
)
def test_insertion_leaves_the_rest_as_it_is(text, additions, expected):
    assert insert(text, word_spans(text), additions) == expected


@pytest.mark.parametrize(
    ("text", "gaps"),
    [
        ("", [0]),
        ("one sentence only", [0, 3]),
        ('He said "stop!" (twice?) and left ...', [0, 3, 4, 7]),
        ("costs 3.50 today", [0, 3]),
    ],
)
def test_sentences_end_where_their_last_word_does(text, gaps):
    assert sentence_gaps(text, word_spans(text)) == gaps
