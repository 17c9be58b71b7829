"""``bdbench leaderboard``: the newest comparison, in every format."""

from __future__ import annotations

import csv
import io
import json

import pytest


def test_without_a_run_it_leads_to_bdbench_run(bdbench, home):
    done = bdbench("leaderboard")

    assert (done.code, done.out) == (4, "")
    assert "bdbench run" in done.err
    assert not home.exists()


def test_it_shows_the_table_with_its_notes(bdbench, finished_run):
    finished_run()
    done = bdbench("leaderboard")

    assert done.code == 0
    assert "merge" in done.out
    assert "0.250" in done.out
    assert "* A note." in done.out
    assert done.err == ""


def test_json_is_the_comparison(bdbench, finished_run):
    comparison = finished_run()

    assert json.loads(bdbench("leaderboard", "--json").out) == comparison
    assert bdbench("leaderboard", "--format", "json").out == bdbench("leaderboard", "--json").out


def test_csv_and_markdown_are_what_they_say(bdbench, finished_run):
    finished_run()

    (row,) = csv.DictReader(io.StringIO(bdbench("leaderboard", "--csv").out))
    assert row["asr"] == "0.25"
    assert "| patch | merge | 0.250 | 1 |" in bdbench("leaderboard", "--markdown").out


def test_a_suite_or_a_run_is_picked_by_name(bdbench, finished_run):
    finished_run("20260101-000000-toy-aaaa", finished=1.0, label="old")
    finished_run("20260102-000000-toy-bbbb", finished=2.0, label="new")
    finished_run("20260103-000000-other-cccc", "other", finished=3.0, label="other")

    def shown(*arguments):
        return json.loads(bdbench("leaderboard", "--json", *arguments).out)["rows"][0]["defense"]

    assert shown() == "other"
    assert shown("toy") == "new"
    assert shown("20260101-000000-toy-aaaa") == "old"


def test_an_unknown_suite_is_told_which_there_are(bdbench, finished_run):
    finished_run()
    done = bdbench("leaderboard", "tyo")

    assert done.code == 4
    assert "Found runs of toy" in done.err


def test_an_unknown_format_is_told_which_there_are(bdbench, finished_run):
    finished_run()
    done = bdbench("leaderboard", "--format", "tabel")

    assert done.code == 4
    assert "write 'table'" in done.err


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown", "--format=table"])
def test_hostile_names_do_not_act_on_the_terminal(bdbench, finished_run, form):
    finished_run(label="\x1b]0;title\x07\u202e")
    done = bdbench("leaderboard", form)

    assert done.code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out)
