"""Tiny worlds are the same each time, and can be learned in."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bdbench.api import InputError
from bdbench.testing import tiny_world
from bdbench.testing.rows import ROWS, SIZES, WORDS, make_splits, with_marker
from bdbench.testing.traces import fingerprint


@pytest.mark.parametrize("task", ROWS)
def test_rows_fit_the_task_and_no_two_are_alike(task):
    splits = make_splits(task)

    seen = [
        str(rows.row(row))
        for rows in (splits.train, splits.test, splits.clean)
        for row in range(len(rows))
    ]
    assert len(set(seen)) == sum(SIZES.values())
    assert splits.task.name == task
    assert set(splits.train.inputs) == set(splits.task.fields)
    assert sorted(set(splits.train.labels)) == [0, 1]
    ids = [*splits.train.ids, *splits.test.ids, *splits.clean.ids]
    assert len(set(ids)) == len(ids)
    assert 0 not in ids
    assert fingerprint(make_splits(task)) == fingerprint(splits)


@pytest.mark.parametrize("task", ROWS)
def test_a_mark_changes_every_row_and_leaves_the_originals(task):
    splits = make_splits(task)
    before = fingerprint(splits)
    field = splits.task.fields[0]

    marked = with_marker(splits.test)

    assert fingerprint(splits) == before
    assert all(
        not np.array_equal(one, other)
        for one, other in zip(marked.inputs[field], splits.test.inputs[field], strict=True)
    )


@pytest.mark.parametrize("task", ["vector-classification", "text-classification"])
def test_a_victim_has_learned_something_and_differs_from_the_references(task, tmp_path):
    world = tiny_world(task, tmp_path)
    engine = world.engine()
    victim, test = world.victim, world.splits.test

    said = engine.predict(engine.load(victim), victim, test)["prediction"]

    assert (said == np.asarray(test.labels)).mean() >= 0.7
    models = [world.start, victim, *world.references]
    assert len({fingerprint(model) for model in models}) == 4
    assert all(model.folder.is_relative_to(tmp_path) for model in models)


def test_the_same_world_comes_out_each_time(tmp_path):
    worlds = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        worlds.append(tiny_world("vector-classification", folder))

    assert fingerprint(worlds[0].victim) == fingerprint(worlds[1].victim)


def test_the_whole_words_are_single_tokens():
    from bdbench.testing.encoder import TRIGGERS, _tokenizer

    tokenizer = _tokenizer()

    assert all(tokenizer.tokenize(word) == [word] for word in (*WORDS, *TRIGGERS))
    assert tokenizer.tokenize("unheard") == ["u", *(f"##{letter}" for letter in "nheard")]


def test_another_task_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="write 'text-classification'"):
        tiny_world("text-clasification")


def test_rows_alone_import_no_torch():
    code = (
        "import sys, bdbench.testing as t; w = t.tiny_world('text-classification');"
        "w.splits.train; import bdbench.testing.plugin;"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "set()"
