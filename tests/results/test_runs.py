"""A run's folder appears whole, and is found again."""

from __future__ import annotations

import json
import os
import time

import pytest

from bdbench.api import InputError
from bdbench.home import Home
from bdbench.results import runs
from bdbench.results.runs import ABANDONED, latest_run, read_comparison, read_records, write_run


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def write(home, comparison, make_record):
    def write(run_id, suite="toy", finished=0.0):
        run = {"run_id": run_id, "suite": suite, "finished": finished}
        records = [make_record(seed=0, metrics={"asr": 0.5}), make_record(seed=1)]
        write_run(home.runs / run_id, records, comparison, run)
        return home.runs / run_id

    return write


def test_a_run_is_read_as_it_was_written(write, comparison, make_record):
    folder = write("20260101-000000-toy-aaaa")

    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "records.jsonl",
        "leaderboard.json",
        "leaderboard.md",
        "leaderboard.html",
    }
    assert read_comparison(folder) == comparison
    assert read_records(folder) == [
        make_record(seed=0, metrics={"asr": 0.5}),
        make_record(seed=1),
    ]
    assert "| badnets | merge |" in (folder / "leaderboard.md").read_text("utf-8")


@pytest.mark.parametrize("ending", ["\u2028", "\u2029", "\x85"])
def test_what_ends_a_line_elsewhere_ends_no_record(home, comparison, make_record, ending):
    records = [make_record(seed=0, notes={"data": {"rows": f"a{ending}b"}}), make_record(seed=1)]
    folder = home.runs / "run"
    write_run(folder, records, comparison, {})

    assert read_records(folder) == records


def test_a_run_that_cannot_be_written_whole_is_not_there(write, home, monkeypatch):
    class Broken:
        def __init__(self, config): ...

        def render(self, comparison):
            raise OSError("no space left")

    monkeypatch.setattr(runs, "MarkdownReporter", Broken)

    with pytest.raises(OSError, match="no space"):
        write("20260101-000000-toy-aaaa")

    assert list(home.runs.iterdir()) == []


def test_what_is_half_written_is_not_taken_for_a_run(write, home):
    folder = write("20260101-000000-toy-aaaa")
    half = home.runs / ".writing-x"
    half.mkdir()
    (half / "run.json").write_text("{", "utf-8")

    assert latest_run(home) == folder


def test_what_a_dead_process_left_half_written_is_removed_by_a_later_run(write, home):
    for name, age in ((".writing-old", 2 * ABANDONED), (".writing-new", 0.0)):
        half = home.runs / name
        half.mkdir(parents=True)
        (half / "run.json").write_text("{", "utf-8")
        os.utime(half, (time.time() - age,) * 2)

    folder = write("20260101-000000-toy-aaaa")

    assert {path.name for path in home.runs.iterdir()} == {folder.name, ".writing-new"}


def test_the_newest_run_is_found_of_all_or_of_one_suite_or_by_name(write, home):
    old = write("20260101-000000-toy-ffff", finished=1.0)
    other = write("20260102-000000-other-cccc", "other", finished=2.0)
    new = write("20260103-000000-toy-aaaa", finished=3.0)

    assert latest_run(home) == new
    assert latest_run(home, "toy") == new
    assert latest_run(home, "other") == other
    assert latest_run(home, old.name) == old


def test_of_two_runs_of_one_second_the_later_one_is_the_newest(write, home):
    later = write("20260101-000000-toy-aaaa", finished=1.75)
    write("20260101-000000-toy-bbbb", finished=1.25)

    assert latest_run(home) == later


@pytest.mark.parametrize(
    ("suite", "what"),
    [
        (None, "run `bdbench run` first"),
        ("toy", "`bdbench run toy` first"),
        ("my suite.yaml", "`bdbench run 'my suite.yaml'` first"),
        ("20260101-000000-toy-aaaa", "run `bdbench run` first"),
    ],
)
def test_no_run_leads_to_bdbench_run(home, suite, what):
    with pytest.raises(InputError) as caught:
        latest_run(home, suite)

    assert caught.value.next == what
    assert not home.runs.exists()


@pytest.mark.parametrize(
    ("suite", "what"),
    [
        ("sms-core", "`bdbench run sms-core` first, or name one of the runs that are here"),
        # A run of that name cannot be made again.
        ("20260101-000000-toy-bbbb", "name one of the runs that are here"),
    ],
)
def test_an_unknown_suite_is_told_which_there_are_and_how_to_run_it(write, home, suite, what):
    write("20260101-000000-toy-aaaa")

    with pytest.raises(InputError) as caught:
        latest_run(home, suite)

    assert caught.value.found == "runs of toy"
    assert caught.value.next == what


def test_no_number_of_a_run_is_nan(write, comparison):
    comparison["rows"][0]["values"]["asr"] = float("nan")

    with pytest.raises(ValueError, match="JSON"):
        write("20260101-000000-toy-aaaa")


def test_records_hold_what_they_say_and_nothing_else(make_record):
    record = make_record(metrics={"asr": None})
    data = json.loads(record.model_dump_json())

    assert type(record).model_validate(data) == record
    with pytest.raises(ValueError, match="extra"):
        type(record).model_validate({**data, "surprise": 1})
