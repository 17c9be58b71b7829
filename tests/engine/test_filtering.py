"""A filter is given rows without their origin; the host trains on what it leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from bdbench.api import (
    Defense,
    Filtering,
)

MODEL = "model.safetensors"


def tensors(folder):
    return safetensors.torch.load_file(Path(folder) / MODEL)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def cell(bench, splits):
    """The keys of a small attacked cell, and a way to run a defense on it."""

    class Cell:
        data = bench.data(splits())
        poison = bench.poison(
            {
                "kind": "attack",
                "label": "patch",
                "component": "toy-patch",
                "config": {"coordinate": 1},
            },
            data,
        )
        victim = bench.victim(data, poison=poison)

        def filter(self, found, **needs):
            part = bench.defense(found, "filter", **needs)
            given = {"data": self.data, "poison": self.poison, "victim": self.victim}
            return bench.treated(filters=[part], **given)

    return Cell()


def filtering(decide):
    class Filter(Defense):
        def filter(self, train, view):
            return decide(train, view)

    return Filter


def test_a_filter_that_keeps_everything_gives_the_victim_again(bench, cell):
    keep_all = filtering(lambda train, view: Filtering([True] * len(train), [0.0] * len(train)))

    key = cell.filter(keep_all)

    assert same(tensors(bench.folder(cell.victim)), tensors(bench.folder(key)))


def test_a_filter_that_finds_the_poison_gives_the_victim_of_the_rest(bench, cell, splits):
    def decide(train, view):
        poisoned = [bool(vector[1] == 9) for vector in train.inputs["vector"]]
        return Filtering([not bad for bad in poisoned], [float(bad) for bad in poisoned])

    key = cell.filter(filtering(decide))

    (notes,) = bench.notes(key).values()
    assert notes["kept_rows"] == 36
    mask = [bool(v[1] == 9) for v in _poisoned_rows(bench, cell).inputs["vector"]]
    rest = _poisoned_rows(bench, cell).select([row for row, bad in enumerate(mask) if not bad])
    clean = splits()
    twin = bench.victim(bench.data(replace(clean, train=rest)))
    assert same(tensors(bench.folder(twin)), tensors(bench.folder(key)))


def _poisoned_rows(bench, cell):
    from bdbench.engine.rows import read_examples

    return read_examples(bench.folder(cell.poison) / "train.parquet")


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


def test_a_filter_may_rewrite_rows(bench, cell):
    def rewrite(train, view):
        zeros = [np.zeros_like(vector) for vector in train.inputs["vector"]]
        return Filtering([True] * 40, [0.0] * 40, {}, train.with_input("vector", zeros))

    key = cell.filter(filtering(rewrite))

    assert not same(tensors(bench.folder(cell.victim)), tensors(bench.folder(key)))


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
def test_a_filter_must_decide_on_every_row_in_order(cell, refused, decide):
    assert refused(cell.filter, filtering(decide))["what"] == "a filter must decide on every row"


def test_a_filter_that_keeps_nothing_leaves_nothing_to_train_on(cell, refused):
    nothing = filtering(lambda train, view: Filtering([False] * 40, [0.0] * 40))

    assert refused(cell.filter, nothing)["what"] == "there are no rows to train on"
