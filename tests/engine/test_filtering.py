"""A filter is given rows without their origin; the host trains on what it leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bdbench.api import (
    Defense,
    Filtering,
)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def filtering(decide):
    class Filter(Defense):
        def filter(self, train, view):
            return decide(train, view)

    return Filter


def test_a_filter_that_keeps_everything_gives_the_victim_again(bench, attacked):
    keep_all = filtering(lambda train, view: Filtering([True] * len(train), [0.0] * len(train)))

    key = attacked.filter(keep_all)

    assert same(bench.weights(attacked.victim), bench.weights(key))


def test_a_filter_that_finds_the_poison_gives_the_victim_of_the_rest(bench, attacked, splits):
    def decide(train, view):
        poisoned = [bool(vector[1] == 9) for vector in train.inputs["vector"]]
        return Filtering([not bad for bad in poisoned], [float(bad) for bad in poisoned])

    key = attacked.filter(filtering(decide))

    (notes,) = bench.notes(key).values()
    assert notes["kept_rows"] == 36
    mask = [bool(v[1] == 9) for v in _poisoned_rows(bench, attacked).inputs["vector"]]
    rest = _poisoned_rows(bench, attacked).select([row for row, bad in enumerate(mask) if not bad])
    clean = splits()
    twin = bench.victim(bench.data(replace(clean, train=rest)))
    assert same(bench.weights(twin), bench.weights(key))


def _poisoned_rows(bench, attacked):
    from bdbench.engine.rows import read_examples

    return read_examples(bench.folder(attacked.poison) / "train.parquet")


def test_the_order_of_training_rows_does_not_tell_where_they_stood(bench, splits):
    """An attacker's own rows come last: who knows where a row stood knows the mask."""
    shown = []

    def look(train, view):
        shown.append([vector.tolist() for vector in train.inputs["vector"]])
        return Filtering([True] * len(train), [0.0] * len(train))

    for step in (1, -1):
        given = splits()
        rows = given.train.select(range(len(given.train))[::step])
        data = bench.data(replace(given, train=rows))
        part = bench.defense(filtering(look), "filter")
        bench.treated(filters=[part], data=data, victim=bench.victim(data))

    assert shown[0] == shown[1]
    assert shown[0] != [vector.tolist() for vector in splits().train.inputs["vector"]]


def test_a_filter_may_rewrite_rows(bench, attacked):
    def rewrite(train, view):
        zeros = [np.zeros_like(vector) for vector in train.inputs["vector"]]
        return Filtering([True] * 40, [0.0] * 40, {}, train.with_input("vector", zeros))

    key = attacked.filter(filtering(rewrite))

    assert not same(bench.weights(attacked.victim), bench.weights(key))


SHORT = {
    "keep": lambda train, view: Filtering([True] * 39, [0.0] * 40),
    "scores": lambda train, view: Filtering([True] * 40, [0.0] * 39),
    "examples": lambda train, view: Filtering([True] * 40, [0.0] * 40, {}, train.select(range(39))),
    "no examples": lambda train, view: Filtering([True] * 40, [0.0] * 40, {}, train.select([])),
    "order": lambda train, view: Filtering(
        [True] * 40, [0.0] * 40, {}, train.select(range(39, -1, -1))
    ),
}


@pytest.mark.parametrize("decide", SHORT.values(), ids=SHORT)
def test_a_filter_must_decide_on_every_row_in_order(attacked, refused, decide):
    assert (
        refused(attacked.filter, filtering(decide))["what"] == "a filter must decide on every row"
    )


def test_a_filter_that_keeps_nothing_leaves_nothing_to_train_on(attacked, refused):
    nothing = filtering(lambda train, view: Filtering([False] * 40, [0.0] * 40))

    assert refused(attacked.filter, nothing)["what"] == "there are no rows to train on"
