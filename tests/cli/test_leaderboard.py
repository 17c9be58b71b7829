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
    assert ".250 [.150, .350]" in done.out
    assert "- A note." in done.out
    assert done.err == ""


def test_json_is_the_comparison(bdbench, finished_run):
    comparison = finished_run()

    assert json.loads(bdbench("leaderboard", "--json").out) == comparison
    assert bdbench("leaderboard", "--format", "json").out == bdbench("leaderboard", "--json").out


def test_csv_and_markdown_are_what_they_say(bdbench, finished_run):
    finished_run()

    (row,) = csv.DictReader(io.StringIO(bdbench("leaderboard", "--csv").out))
    assert row["asr"] == "0.25"
    markdown = bdbench("leaderboard", "--markdown").out
    assert "| 1 | patch | merge | 0.250 \\[0.150, 0.350\\] | -0.750\\* |" in markdown


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


@pytest.mark.parametrize(
    ("forms", "told"),
    [
        (["--format", "html", "--json"], "--format html and --json: give one format"),
        (["--csv", "--format", "latex"], "--format latex and --csv: give one format"),
        (["--markdown", "--csv"], "--markdown and --csv: give one format"),
    ],
)
def test_two_formats_are_refused(bdbench, finished_run, forms, told):
    finished_run()
    done = bdbench("leaderboard", *forms)

    assert (done.code, done.out) == (4, "")
    assert told in done.err


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown", "--format=table"])
def test_hostile_names_do_not_act_on_the_terminal(bdbench, finished_run, form):
    finished_run(label="\x1b]0;title\x07\u202e")
    done = bdbench("leaderboard", form)

    assert done.code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out)


def test_a_comparison_of_another_version_is_not_misread(bdbench, finished_run):
    finished_run(schema="bdbench.comparison/1")
    done = bdbench("leaderboard")

    assert (done.code, done.out) == (4, "")
    assert "Found bdbench.comparison/1" in done.err
    assert "bdbench run" in done.err


# --- --fail-if --------------------------------------------------------------------------------


@pytest.fixture
def checked(bdbench, finished_run, make_row):
    """A run with every kind of row; calls the command with more arguments."""
    gated = {"gate": {"passed": False, "reason": "it did not take"}, "ranked": False}
    rows = [
        make_row("none", "none", None),
        make_row("none", "merge", None, 0.5),
        make_row("patch", "none", 1.0),
        make_row("patch", "merge", 0.25, 0.88),
        make_row("patch", "tune", 0.1, 0.95),
        make_row("weak", "none", 0.3, **gated),
        make_row("weak", "merge", 0.9, **gated),
    ]
    finished_run(rows=rows)

    def checked(*arguments):
        return bdbench("leaderboard", "--json", *arguments)

    return checked


def test_a_row_that_meets_a_condition_ends_the_command_with_6_and_is_listed(checked):
    done = checked("--fail-if", "asr>0.2")

    assert done.code == 6
    assert done.err.splitlines() == [
        "asr>0.2 fails 1 of 2 rows:",
        "  blobs · linear · patch · merge: asr is 0.25",
        "not checked: blobs · linear · weak (it did not take)",
    ]
    # The comparison is printed all the same.
    assert json.loads(done.out)["suite"] == "toy"


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("asr>0.25", 0),
        ("asr>=0.25", 6),
        ("asr == 0.25", 6),
        ("asr==.26", 0),
        ("clean_accuracy<0.88", 0),
        ("clean_accuracy <= 0.88", 6),
        ("asr<1e-1", 0),
        ("asr<1.1e-1", 6),
        ("over_floor>0.2", 6),
        ("attack_change>-0.8", 6),
        ("attack_change>-0.7", 0),
        ("utility_change<-0.005", 6),
        ("control_effect<-1", 0),
    ],
)
def test_conditions_are_held_against_means(checked, condition, code):
    assert checked("--fail-if", condition).code == code


def test_several_conditions_are_all_told(checked):
    done = checked("--fail-if", "asr>0.2", "--fail-if", "asr<0", "--fail-if", "clean_accuracy>0.9")

    assert done.code == 6
    assert "asr>0.2 fails 1" in done.err
    assert "clean_accuracy>0.9 fails 1" in done.err
    assert "asr<0" not in done.err


def test_the_baseline_counts_only_where_it_is_named(checked):
    assert checked("--fail-if", "asr==1").code == 0
    assert checked("--fail-if", "asr==1", "--defense", "none").code == 6


def test_conditions_can_be_about_some_attacks_and_defenses_only(checked):
    assert checked("--fail-if", "asr>0.2", "--defense", "tune").code == 0
    assert checked("--fail-if", "asr>0.2", "--attack", "patch").code == 6


def test_every_place_where_an_attack_did_not_take_is_told(bdbench, finished_run, make_row):
    gated = {"gate": {"passed": False, "reason": "it did not take"}, "ranked": False}
    finished_run(
        rows=[
            make_row("patch", "merge", 0.1, **gated),
            make_row("patch", "merge", 0.1, **gated, model="deep"),
            make_row("patch", "merge", 0.1, dataset="rings"),
        ]
    )

    done = bdbench("leaderboard", "--json", "--fail-if", "asr>0.2")

    assert (done.code, done.err.splitlines()) == (
        0,
        [
            "not checked: blobs · linear · patch (it did not take)",
            "not checked: blobs · deep · patch (it did not take)",
        ],
    )


NOTHING = [["--attack", "weak"], ["--attack", "none"], ["--attack", "patch", "--attack", "weak"]]


@pytest.mark.parametrize("chosen", NOTHING, ids=" ".join)
def test_a_check_of_nothing_does_not_pass(checked, chosen):
    done = checked("--fail-if", "asr>0.2", *chosen)

    assert (done.code, done.out) == (4, "")
    assert "a check of nothing must not pass" in done.err


def test_a_row_without_the_value_fails(bdbench, finished_run, make_row):
    finished_run(rows=[make_row("patch", "tune", None, None)])
    done = bdbench("leaderboard", "--fail-if", "asr>0.2")

    assert done.code == 6
    assert "patch · tune: no asr, which counts as failing (failed)" in done.err


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_row_without_all_its_cells_fails_however_good_the_others_are(
    bdbench, finished_run, make_row, status
):
    row = make_row("patch", "tune", 0.1, status={"success": 2, status: 1}, seeds=[0, 1])
    finished_run(rows=[row])
    done = bdbench("leaderboard", "--fail-if", "asr>0.2")

    assert done.code == 6
    assert "patch · tune: asr is 0.1 of 2" in done.err


def test_rows_that_are_not_ranked_are_checked_and_told(bdbench, finished_run, make_row):
    why = {"ranked": False, "unranked_because": "isolation: none"}
    finished_run(rows=[make_row("patch", "tune", 0.1, **why)])
    done = bdbench("leaderboard", "--json", "--fail-if", "asr>0.2")

    assert done.code == 0
    assert done.err == (
        "checked, though not ranked: blobs · linear · patch · tune (isolation: none)\n"
    )


@pytest.mark.parametrize(
    "condition",
    ["asr", "asr>", ">0.2", "asr=0.2", "asr!=0.2", "asr>many", "asr>nan", "asr>inf", ""],
)
def test_a_condition_that_is_none_is_a_usage_error(checked, condition):
    done = checked("--fail-if", condition)

    assert (done.code, done.out) == (4, "")
    assert "for instance asr>0.2" in done.err


def test_a_condition_on_an_unknown_column_names_those_there_are(checked):
    done = checked("--fail-if", "arr>0.2")

    assert (done.code, done.out) == (4, "")
    assert "no column arr; there are clean_accuracy, asr, attack_change" in done.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--fail-if", "asr>0.2", "--defense", "mrge"], "the run has none, merge, tune"),
        (["--fail-if", "asr>0.2", "--attack", "ptch"], "the run has none, patch, weak"),
        (["--defense", "merge"], "give that too"),
    ],
)
def test_what_is_checked_must_be_there(checked, arguments, text):
    done = checked(*arguments)

    assert (done.code, done.out) == (4, "")
    assert text in done.err


def test_hostile_names_in_a_check_do_not_act_on_the_terminal(bdbench, finished_run, make_row):
    finished_run(rows=[make_row("patch", "\x1b]0;title\x07\u202e", 0.5)])
    done = bdbench("leaderboard", "--fail-if", "asr>0.2")

    assert done.code == 6
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out + done.err)
