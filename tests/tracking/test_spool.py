from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.home import Home
from bdbench.tracking.destination import resolve_destination
from bdbench.tracking.spool import Spool, key_of


@pytest.fixture
def spool(home):
    return Spool(home, resolve_destination(home, {}))


def put(spool, value, key="a" * 32):
    return spool.put("cell", key, {"value": value}, suite="quick", run_id="run-1")


def test_what_is_put_is_read_back(spool):
    assert put(spool, 1)
    (path,) = spool.pending()
    item = spool.read(path)
    assert (item.kind, item.key, item.body) == ("cell", "a" * 32, {"value": 1})
    assert (item.suite, item.run_id) == ("quick", "run-1")


def test_the_same_is_put_once_while_pending_and_once_published(spool):
    assert put(spool, 1)
    assert not put(spool, 1)
    (path,) = spool.pending()
    spool.done(path, spool.read(path), "mlflow-run")
    assert spool.pending() == []
    assert not put(spool, 1)


def test_a_newer_word_replaces_what_waits(spool):
    put(spool, 1)
    assert put(spool, 2)
    (path,) = spool.pending()
    assert spool.read(path).body == {"value": 2}


def test_a_newer_word_survives_the_end_of_publishing_the_older(spool):
    put(spool, 1)
    (older,) = spool.pending()
    item = spool.read(older)
    put(spool, 2)
    spool.done(older, item, "mlflow-run")
    (path,) = spool.pending()
    assert spool.read(path).body == {"value": 2}


def test_going_back_to_what_was_published_is_news_again(spool):
    put(spool, 1)
    (path,) = spool.pending()
    spool.done(path, spool.read(path), "mlflow-run")
    put(spool, 2)
    assert put(spool, 1)
    (path,) = spool.pending()
    assert spool.read(path).body == {"value": 1}


def test_items_wait_in_the_order_of_their_coming(spool):
    for number in range(5):
        put(spool, number, key=key_of(str(number)))
    assert [spool.read(path).body["value"] for path in spool.pending()] == [0, 1, 2, 3, 4]


def test_a_file_that_was_not_finished_is_never_seen(spool, monkeypatch):
    def die(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        put(spool, 1)
    monkeypatch.undo()
    assert spool.pending() == []
    assert put(spool, 1)
    assert len(spool.pending()) == 1


def test_a_broken_mark_counts_as_none(spool, home):
    put(spool, 1)
    (path,) = spool.pending()
    spool.done(path, spool.read(path), "mlflow-run")
    (mark,) = (home.spool / "published").rglob("*.json")
    mark.write_text("{", "utf-8")
    assert put(spool, 1)


def test_a_file_that_is_no_item_is_told(spool):
    put(spool, 1)
    (path,) = spool.pending()
    path.write_text("[]", "utf-8")
    with pytest.raises(ValueError, match="not an item"):
        spool.read(path)


def test_marks_go_with_the_lost_database(spool, home):
    put(spool, 1)
    (path,) = spool.pending()
    spool.done(path, spool.read(path), "mlflow-run")
    spool.forget_lost_database()
    assert not put(spool, 1)
    (home.mlflow / "mlflow.db").unlink()
    spool.forget_lost_database()
    assert put(spool, 1)


def test_destinations_do_not_mix_and_keep_no_secret(home):
    uri = "https://me:secret@tracking.example/path?token=secret"
    there = resolve_destination(home, {"MLFLOW_TRACKING_URI": uri})
    assert there.uri == uri
    assert there.shown == "https://tracking.example/path"
    assert put(Spool(home, there), 1)
    assert Spool(home, resolve_destination(home, {})).pending() == []
    (path,) = Spool(home, there).pending()
    assert "secret" not in path.read_text("utf-8")
    assert json.loads(path.read_text("utf-8"))["destination"] == there.shown


def test_own_database_is_the_default(tmp_path):
    destination = resolve_destination(Home(tmp_path), {"MLFLOW_TRACKING_URI": " "})
    assert destination.own
    assert destination.uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_keys_tell_apart_and_are_safe(one, other):
    assert (key_of(*one) == key_of(*other)) == (one == other)
    assert set(key_of(*one)) <= set("0123456789abcdef")
