from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import Examples, InputError, SeedStream, Task
from bdbench.toolkit.words import sentence_gaps, word_spans
from bdbench_attack_insertion.attacks import BadNets, InsertSent
from bdbench_attack_insertion.config import BadNetsConfig, InsertSentConfig

TASK = Task("text-classification", ("text",), ("negative", "positive"))
PAIR = Task("text-pair-classification", ("premise", "hypothesis"), ("no", "yes"))
WORDS = ["xcf", "xmn", "xbb"]

# No text holds an "x", so that what was inserted can be told from what was there.
texts = st.lists(
    st.text(st.characters(exclude_characters="xX"), max_size=40), min_size=1, max_size=8
)
seeds = st.integers(0, 2**32).map(SeedStream)


def examples(column):
    return Examples({"text": column}, [0] * len(column), [7 * n for n in range(len(column))])


def triggered(attack, column, stream):
    return list(attack.apply_trigger(examples(column), TASK, stream).inputs["text"])


def badnets(**settings):
    return BadNets(BadNetsConfig(**{"triggers": WORDS, **settings}))


def insertsent(**settings):
    return InsertSent(InsertSentConfig(**{"sentence": "xno xcross, xno xcrown", **settings}))


@st.composite
def attacks(draw):
    limit = draw(st.none() | st.integers(5, 12))
    if draw(st.booleans()):
        position = draw(st.sampled_from(["random", "start", "end"]))
        return badnets(position=position, within_words=limit)
    position = draw(st.sampled_from(["random", "boundary", "start", "end"]))
    return insertsent(position=position, within_words=limit)


@given(attacks(), texts, seeds)
def test_every_row_changes_and_keeps_its_words(attack, column, stream):
    for before, after in zip(column, triggered(attack, column, stream), strict=True):
        assert after != before
        assert [word for word in after.split() if "x" not in word] == before.split()


@given(attacks(), texts, seeds)
def test_the_trigger_ends_within_the_limit(attack, column, stream):
    limit = attack.config.within_words or 10**6
    for after in triggered(attack, column, stream):
        last = max(place for place, word in enumerate(after.split(), 1) if "x" in word)
        assert last <= limit


@given(attacks(), texts, seeds, st.randoms())
def test_a_row_depends_on_neither_order_nor_batch(attack, column, stream, random):
    rows = random.sample(range(len(column)), random.randint(1, len(column)))
    together = attack.apply_trigger(examples(column), TASK, stream).select(rows)
    apart = attack.apply_trigger(examples(column).select(rows), TASK, stream)
    assert apart == together


@given(st.integers(1, 9), texts, seeds)
def test_the_number_of_insertions_is_exact(count, column, stream):
    for after in triggered(badnets(insertions=count), column, stream):
        assert sum(word in WORDS for word in after.split()) == count


@given(texts, seeds)
def test_a_sentence_stays_whole_and_comes_once(column, stream):
    for after in triggered(insertsent(), column, stream):
        assert after.count("xno xcross, xno xcrown") == 1


@given(texts, seeds)
def test_a_boundary_is_one_of_the_original_sentences(column, stream):
    after = triggered(insertsent(position="boundary"), column, stream)
    for text, changed in zip(column, after, strict=True):
        gap = changed.split().index("xno")
        assert gap in sentence_gaps(text, word_spans(text))


def test_each_count_word_and_gap_is_drawn_about_equally_often():
    after = triggered(badnets(insertions=[1, 3]), ["a b"] * 6000, SeedStream(1))
    inserted = [[word for word in text.split() if word in WORDS] for text in after]
    counts = Counter(len(words) for words in inserted)
    assert set(counts) == {1, 3}
    assert counts[1] == pytest.approx(3000, abs=150)
    words = Counter(word for row in inserted for word in row)
    assert all(words[word] == pytest.approx(4000, abs=200) for word in WORDS)
    single = [text for text, row in zip(after, inserted, strict=True) if len(row) == 1]
    gaps = Counter(
        next(place for place, word in enumerate(text.split()) if word in WORDS) for text in single
    )
    assert set(gaps) == {0, 1, 2}
    assert all(gaps[gap] == pytest.approx(len(single) / 3, abs=100) for gap in gaps)


def test_each_sentence_is_drawn():
    attack = insertsent(sentence=["xa", "xb"], position="start")
    first = Counter(text.split()[0] for text in triggered(attack, ["c"] * 2000, SeedStream(1)))
    assert first["xa"] == pytest.approx(1000, abs=100)
    assert set(first) == {"xa", "xb"}


@pytest.mark.parametrize(
    ("settings", "gaps"),
    [
        ({"position": "random"}, {0, 1, 2, 3, 4, 5}),
        ({"position": "random", "within_words": 4}, {0, 1, 2}),
        ({"position": "boundary"}, {0, 1, 4, 5}),
        ({"position": "boundary", "within_words": 4}, {0, 1}),
    ],
)
def test_a_sentence_reaches_every_allowed_gap_and_no_other(settings, gaps):
    attack = insertsent(sentence="xno way", **settings)
    after = triggered(attack, ["Go! it was late. yes"] * 200, SeedStream(2))
    assert {text.split().index("xno") for text in after} == gaps


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        (badnets(triggers=["xcf"], insertions=2, position="start"), "xcf xcf a b c d"),
        (badnets(triggers=["xcf"], insertions=2, position="end"), "a b c d xcf xcf"),
        (
            badnets(triggers=["xcf"], insertions=2, position="end", within_words=3),
            "a xcf xcf b c d",
        ),
        (insertsent(sentence="xno way", position="start"), "xno way a b c d"),
        (insertsent(sentence="xno way", position="end"), "a b c d xno way"),
        (insertsent(sentence="xno way", position="end", within_words=3), "a xno way b c d"),
        (insertsent(sentence="xno way", position="random", within_words=2), "xno way a b c d"),
    ],
)
def test_places(attack, expected):
    assert triggered(attack, ["a b c d"], SeedStream(0)) == [expected]


def test_text_without_words_becomes_the_trigger():
    assert triggered(insertsent(), ["", "  "], SeedStream(0)) == [
        "xno xcross, xno xcrown",
        "xno xcross, xno xcrown  ",
    ]


def test_seeds_matter():
    column = ["a b c d e f g h"] * 20
    first = triggered(badnets(), column, SeedStream(0))
    assert first != triggered(badnets(), column, SeedStream(1))
    assert first == triggered(badnets(), column, SeedStream(0))


@pytest.mark.parametrize(("field", "changed"), [(None, "premise"), ("hypothesis", "hypothesis")])
def test_only_the_chosen_column_changes(field, changed):
    rows = Examples({"premise": ["p q"], "hypothesis": ["h i"]}, [1], [3])
    after = badnets(field=field).apply_trigger(rows, PAIR, SeedStream(0))
    assert {name for name in PAIR.fields if after.inputs[name] != rows.inputs[name]} == {changed}
    assert (after.labels, after.ids) == (rows.labels, rows.ids)


def test_a_column_that_the_task_lacks_is_an_error():
    with pytest.raises(InputError, match=r"no such input column.*premise, hypothesis"):
        badnets(field="text").apply_trigger(
            Examples({"premise": ["p"], "hypothesis": ["h"]}, [1], [3]), PAIR, SeedStream(0)
        )


def test_a_missing_text_is_an_error():
    with pytest.raises(InputError, match=r"column 'text', row 7: .*NoneType"):
        triggered(badnets(), ["fine", None], SeedStream(0))
