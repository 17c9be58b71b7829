from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bdbench_defense_onion.packing import alone, batches, pack

TEXT = st.lists(st.integers(0, 3), min_size=2, max_size=24).map(tuple)
LIMIT = st.integers(1, 60)


def leave_one_out(text):
    items = [text, *(text[:place] + text[place + 1 :] for place in range(len(text)))]
    return [item for item in dict.fromkeys(items) if len(item) > 1]


def check(rows, sequences):
    """Each sequence is read once, at tokens that see what it would see in a row of its own."""
    reads = [(row, read) for row in rows for read in row.reads]
    assert sorted(read.sequence for _, read in reads) == sorted(sequences)
    for row, read in reads:
        places = np.array(read.places)
        assert tuple(np.array(row.tokens)[places]) == read.sequence[:-1]
        assert list(np.array(row.positions)[places]) == list(range(len(places)))
        for number, place in enumerate(places):
            assert list(np.flatnonzero(row.sees[place])) == sorted(places[: number + 1])


@given(TEXT, LIMIT)
def test_leave_one_out_rows(text, limit):
    sequences = leave_one_out(text)
    check(pack(3, text, sequences, limit), sequences)


@given(TEXT, st.sets(TEXT, min_size=1, max_size=9).map(list), LIMIT)
def test_any_sequences(text, sequences, limit):
    check(pack(3, text, sequences, limit), sequences)


@given(st.sets(TEXT, min_size=1, max_size=9).map(list))
def test_rows_of_their_own(sequences):
    rows = alone(3, sequences)
    assert len(rows) == len(sequences)
    check(rows, sequences)


@given(TEXT, LIMIT)
def test_a_row_keeps_to_the_limit_unless_it_is_one_sequence(text, limit):
    for row in pack(3, text, leave_one_out(text), limit):
        assert row.owner == 3
        assert len(row) <= limit or len(row.reads) == 1


def test_half_of_the_tokens_are_saved():
    text = tuple(range(40))
    rows = pack(0, text, leave_one_out(text), 256)
    one_by_one = 40 + 40 * 39
    assert sum(map(len, rows)) < 0.53 * one_by_one


@given(st.lists(TEXT, max_size=12), st.integers(4, 60))
def test_batches_hold_every_row_once_with_little_padding(texts, tokens):
    rows = [row for number, text in enumerate(texts) for row in alone(number, [text])]
    made = list(batches(rows, tokens))
    assert sorted(row.owner for batch in made for row in batch) == list(range(len(rows)))
    lengths = [len(row) for batch in made for row in batch]
    assert lengths == sorted(lengths)
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= tokens
