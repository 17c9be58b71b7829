"""Screens stand before the model and see inputs only; what they reject is not answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bdbench_toy.parts import WIDTH

from bdbench.api import ABSTAIN, Access, Defense, Screening, Selection
from bdbench.engine.predictions import read_predictions


def screening(screen):
    class Screen(Defense):
        pass

    Screen.screen = lambda self, rows, view: screen(rows, view)
    return Screen


def passing(rows, view):
    return Screening(rows, [False] * len(rows), [0.0] * len(rows))


def rejecting(pick, score=1.0):
    def screen(rows, view):
        rejected = [bool(pick(row)) for row in rows.ids]
        return Screening(rows, rejected, [score * bad for bad in rejected], {"score": score})

    return screen


@pytest.fixture
def cell(bench, splits):
    class Cell:
        data = bench.data(splits())
        poison = bench.poison(
            {"kind": "attack", "label": "a", "component": "toy-patch", "config": {}}, data
        )
        victim = bench.victim(data, poison=poison)

        def predictions(self, *screens, triggered=False, **needs):
            parts = [bench.defense(screening(screen), "screen", **needs) for screen in screens]
            inputs = {"data": self.data, "model": self.victim}
            if triggered:
                inputs["triggered"] = self.poison
            self.key = bench.predictions(*parts, clean_rows=needs.get("clean_rows", 0), **inputs)
            self.labels = [part["label"] for part in parts]
            return read_predictions(bench.folder(self.key))

    return Cell()


def test_there_is_an_answer_for_every_test_row(cell, splits):
    table = cell.predictions()
    test = splits().test

    assert table.ids.tolist() == test.ids
    assert table.labels.tolist() == test.labels
    assert set(table.columns["prediction"].tolist()) <= {0, 1}
    assert table.columns["probabilities"].shape == (20, 2)
    assert np.allclose(table.columns["probabilities"].sum(axis=1), 1)
    assert table.scores is None
    assert not table.rejected.any()


def test_triggered_rows_are_those_of_the_attack(cell):
    table = cell.predictions(triggered=True)

    assert table.ids.tolist() == [row for row in range(1000, 1020) if row % 2 == 0]
    assert set(table.labels.tolist()) == {0}


@pytest.mark.parametrize(
    ("count", "triggered", "notes"),
    [
        (WIDTH, True, {}),
        (3, False, {"cut_rows": 20}),
        # The trigger is the first number of a row, or else the fourth.
        (3, True, {"cut_rows": 10, "triggers_cut_off": 0}),
    ],
)
def test_rows_that_were_cut_are_counted(cell, bench, reads, count, triggered, notes):
    reads(count)
    cell.predictions(triggered=triggered)
    assert bench.notes(cell.key) == notes


def test_triggers_that_were_cut_off_are_counted(bench, splits, reads):
    reads(3)
    attack = {"kind": "attack", "label": "a", "component": "toy-patch", "config": {"coordinate": 3}}
    data = bench.data(splits())
    poison = bench.poison(attack, data)
    victim = bench.victim(data, poison=poison)
    key = bench.predictions(data=data, model=victim, triggered=poison)
    assert bench.notes(key) == {"cut_rows": 10, "triggers_cut_off": 10}
    # In training they are wrong labels and nothing else.
    notes = bench.notes(victim)
    assert notes["triggers_cut_off"] == bench.notes(poison)["poisoned_rows"] > 0


def test_a_screen_that_passes_everything_changes_no_answer(cell):
    plain, screened = cell.predictions(), cell.predictions(passing)

    assert np.array_equal(plain.columns["probabilities"], screened.columns["probabilities"])
    assert np.array_equal(plain.columns["prediction"], screened.columns["prediction"])
    assert screened.scores.tolist() == [0.0] * 20


@pytest.mark.parametrize("triggered", [False, True])
def test_a_screen_is_shown_no_label(cell, triggered):
    seen = []

    def look(rows, view):
        seen.extend(rows.labels)
        return passing(rows, view)

    cell.predictions(look, triggered=triggered)

    assert seen
    assert set(seen) == {None}


def test_a_screen_cannot_change_the_true_labels(cell, splits):
    def lie(rows, view):
        return Screening(rows.with_labels([1] * len(rows)), [False] * len(rows), [0.0] * len(rows))

    assert cell.predictions(lie).labels.tolist() == splits().test.labels


def test_a_rejected_row_is_an_abstention(cell):
    plain = cell.predictions()
    table = cell.predictions(rejecting(lambda row: row % 5 == 0))

    rejected = table.ids % 5 == 0
    assert np.array_equal(table.rejected, rejected)
    assert set(table.columns["prediction"][rejected].tolist()) == {ABSTAIN}
    assert np.array_equal(
        table.columns["prediction"][~rejected], plain.columns["prediction"][~rejected]
    )


def test_a_rewritten_row_is_what_the_model_sees(cell, splits):
    def flip(rows, view):
        return replace(
            passing(rows, view),
            examples=rows.with_input("vector", [-vector for vector in rows.inputs["vector"]]),
        )

    plain, flipped = cell.predictions(), cell.predictions(flip)
    twice = cell.predictions(flip, flip)

    assert not np.allclose(plain.columns["probabilities"], flipped.columns["probabilities"])
    assert np.array_equal(plain.columns["probabilities"], twice.columns["probabilities"])


def test_screens_act_in_turn_and_each_may_reject(cell, bench):
    table = cell.predictions(
        rejecting(lambda row: row % 5 == 0, 0.4), rejecting(lambda row: row % 4 == 0, 0.3)
    )

    five, four = table.ids % 5 == 0, table.ids % 4 == 0
    assert np.array_equal(table.rejected, five | four)
    # The larger suspicion counts.
    assert np.allclose(table.scores, np.maximum(0.4 * five, 0.3 * four))
    assert bench.notes(cell.key) == dict(
        zip(cell.labels, [{"score": 0.4}, {"score": 0.3}], strict=True)
    )


BAD = {
    "a row less": lambda rows: Screening(rows.select(range(19)), [False] * 20, [0.0] * 20),
    "a decision less": lambda rows: Screening(rows, [False] * 19, [0.0] * 20),
    "a score less": lambda rows: Screening(rows, [False] * 20, [0.0] * 19),
    "another order": lambda rows: Screening(
        rows.select(range(19, -1, -1)), [False] * 20, [0.0] * 20
    ),
    "other ids": lambda rows: Screening(
        replace(rows, ids=range(1000, 1020)), [False] * 20, [0.0] * 20
    ),
    "a score that is NaN": lambda rows: Screening(rows, [False] * 20, [0.0] * 19 + [float("nan")]),
    "an infinite score": lambda rows: Screening(rows, [False] * 20, [0.0] * 19 + [float("inf")]),
}


@pytest.mark.parametrize("screen", BAD.values(), ids=BAD)
def test_a_screen_must_answer_for_every_row_in_order(cell, refused, screen):
    error = refused(cell.predictions, lambda rows, view: screen(rows))

    assert error["what"] == ("a screen must answer for every row, in order, with finite scores")
    assert error["type"] == "InputError"


def test_a_screen_asks_the_model_behind_it_through_its_view(cell):
    asked = []

    def ask(rows, view):
        asked.append(view.predict(rows)["prediction"])
        return passing(rows, view)

    table = cell.predictions(ask)

    assert np.array_equal(asked[0], table.columns["prediction"])


def test_a_screen_without_access_may_not_ask_the_model(cell, refused):
    def ask(rows, view):
        view.predict(rows)

    assert refused(cell.predictions, ask, access=Access.NONE)["type"] == "NotGrantedError"


def test_a_screen_is_given_the_clean_rows_that_it_declared(cell):
    seen = []

    def look(rows, view):
        seen.append(len(view.clean_rows))
        return passing(rows, view)

    cell.predictions(look, clean_rows=6)

    assert seen == [6]


def test_what_a_screen_makes_without_a_model_is_what_it_makes_before_one(cell, bench):
    class Flip(Defense):
        def screen(self, rows, view):
            pairs = zip(rows.ids, rows.inputs["vector"], strict=True)
            vectors = [vector if row % 3 else -vector for row, vector in pairs]
            return Screening(
                rows.with_input("vector", vectors),
                [row % 5 == 0 for row in rows.ids],
                [row / 7 for row in rows.ids],
                {"flips": True},
                Selection.CLEAN_VAL,
            )

    part = bench.defense(Flip, "screen", access=Access.NONE)
    settings = {"screens": [part], "clean_rows": 0, **bench.training()}
    screened = bench.run("screened", settings, (0, "screen"), data=cell.data)
    shared = bench.predictions(data=cell.data, model=cell.victim, screened=screened)
    alone = bench.predictions(part, data=cell.data, model=cell.victim)

    one, other = (read_predictions(bench.folder(key)) for key in (shared, alone))
    for name in ("ids", "labels", "rejected", "scores", "rewritten"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    # A screen sees the rows under new ids, from 0 on.
    assert one.rewritten.tolist() == [row % 3 == 0 for row in range(len(one))]
    assert np.array_equal(one.columns["prediction"], other.columns["prediction"])
    assert bench.notes(screened) == bench.notes(alone) == {part["label"]: {"flips": True}}
    for key in (screened, alone):
        assert bench.store.meta(key)["values"]["selection"] == ["clean_val"]
