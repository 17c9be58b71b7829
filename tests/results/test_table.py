"""What people read: tables in plain text, in Markdown, and in colour on a terminal."""

from __future__ import annotations

import io
import re

import pytest

from bdbench.results.render import cells, table
from bdbench.results.render.markdown import MarkdownReporter
from bdbench.results.render.table import TableReporter, render_for_terminal

TABLE, MARKDOWN = TableReporter(None), MarkdownReporter(None)


@pytest.mark.parametrize("reporter", [TABLE, MARKDOWN], ids=["table.txt", "markdown.md"])
def test_render_gives_every_data_set_and_model_a_table_of_its_own(comparison, reporter):
    rendered = reporter.render(comparison)

    assert rendered.count("· minilm") == 2
    assert rendered.index("sst2 · minilm") < rendered.index("ag-news · minilm")


def test_render_ranks_the_ranked_rows_of_an_attack(comparison):
    rows = [row for row in comparison["rows"] if row["dataset"] == "sst2"]
    named = {
        row["defense"]: rank
        for row, rank in zip(rows, cells.ranks(comparison, rows), strict=True)
        if row["attack"] == "badnets"
    }

    # ULRL's isolation keeps it out, though its mean is not the worst.
    assert (named["merge"], named["onion"], named["none"]) == ("1", "2", "5")
    assert named["ulrl"] == ""


def test_render_shares_a_rank_between_equal_means(comparison, row_of):
    for defense in ("merge", "onion"):
        estimate = row_of(comparison, "badnets", defense)["values"]["asr"]
        estimate.update(mean=0.0, low=0.0, high=0.0)
    rows = [row for row in comparison["rows"] if row["attack"] == "badnets"]
    ranks = cells.ranks(comparison, [row for row in rows if row["dataset"] == "sst2"])

    assert sorted(filter(None, ranks)) == ["1=", "1=", "3", "4", "5"]


def test_render_ranks_the_other_way_where_more_is_better(comparison):
    for column in comparison["columns"]:
        column["direction"] = "higher"
    rows = [row for row in comparison["rows"] if row["attack"] == "badnets"]
    ranks = cells.ranks(comparison, [row for row in rows if row["dataset"] == "sst2"])

    assert ranks[0] == "1"


def test_brackets_are_explained_wherever_they_stand(comparison, monkeypatch):
    fitting = table._fitting

    def only_in_the_first(every, rows, width):
        return fitting(every, rows, width) if rows[0]["dataset"] == "sst2" else every[:0]

    monkeypatch.setattr(table, "_fitting", only_in_the_first)

    assert "[low, high]" in TABLE.render(comparison)


@pytest.fixture
def table_lines(comparison, row_of):
    """The lines of the table of one row of the first data set, in which nothing is folded."""

    def table_lines(attack, defense):
        comparison["rows"] = [row_of(comparison, attack, defense)]
        comparison["rankings"] = []
        return TABLE.render(comparison).splitlines()

    return table_lines


def test_render_table_shows_mean_interval_and_mark_of_significance(comparison, table_lines, row_of):
    row = row_of(comparison, "badnets", "merge")
    row["values"]["asr"] = {"mean": 0.322, "low": 0.281, "high": 0.364, "sd": 0.1, "seeds": 3}
    row["changes"]["attack"].update(mean=-0.678, significant=True)
    row["changes"]["utility"].update(mean=-0.012, significant=False)
    lines = table_lines("badnets", "merge")

    line = next(line for line in lines if "merge" in line)
    assert re.match(r"1 +badnets +merge +\.322 \[\.281, \.364\] +-\.678\* ", line)
    assert " -.012 " in line
    assert any(line.startswith("*: differs from no defense") for line in lines)


def test_render_table_says_why_a_row_is_not_ranked(table_lines):
    lines = table_lines("badnets", "ulrl")

    assert any(re.match(r"\[1\] +badnets +ulrl ", line) for line in lines)
    assert "[1] not ranked: isolation: process." in lines


def test_render_table_says_why_an_attack_is_not_ranked(comparison, table_lines, row_of):
    reason = row_of(comparison, "lws", "merge")["gate"]["reason"]
    lines = table_lines("lws", "merge")

    assert any(re.match(r" *† +lws † +merge", line) for line in lines)
    assert reason.split(" ")[0] in " ".join(lines)
    assert "".join(reason.split()) in "".join("".join(lines).split())


def test_render_table_shows_how_many_seeds_are_behind_a_row(table_lines):
    lines = table_lines("insertsent", "fine-mixing")

    line = next(line for line in lines if "fine-mixing" in line)
    assert line.endswith("2 of 3")
    assert "[1] not ranked: 1 of 3 cells failed." in lines


@pytest.mark.parametrize("width", range(72, 121, 12))
def test_render_table_never_breaks_a_number(comparison, width):
    rendered = table._render(comparison, width, None)
    rows = [row for row in comparison["rows"] if row["values"]["asr"]]

    assert "…" not in rendered
    for row in rows:
        estimate = row["values"]["asr"]
        between = cells.interval({"name": "asr", "unit": "share"}, estimate)
        shown = f"{estimate['mean']:.3f} {between}".rstrip()
        assert re.sub(r"(?<!\d)0\.", ".", shown) in rendered


def test_render_table_names_the_columns_that_did_not_fit(comparison):
    wide, narrow = (" ".join(table._render(comparison, at, None).split()) for at in (120, 72))
    note = "- no room here, but in html, markdown, csv and json: "
    last = "over floor, on control, DER, screen latency, floor, selection, isolation."

    assert f"{note}Δ acc., {last}" in wide
    assert f"{note}Δ ASR, clean acc., Δ acc., {last}" in narrow
    assert "no room in the rankings" not in wide
    assert (
        "- no room in the rankings here, but in html, markdown and json: "
        "won-tied-lost, worst ASR, worst attack." in narrow
    )


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("lfr", "LFR (formats html, csv and json)"),
        ("class_asr.0", "values of single classes (csv and json)"),
    ],
)
def test_render_names_what_no_table_for_people_has(comparison, name, note):
    for column in comparison["columns"]:
        if column["name"] == "screen_latency":
            column["name"] = name
    for row in comparison["rows"]:
        row["values"][name] = row["values"].pop("screen_latency")

    assert f"- also measured: {note}." in TABLE.render(comparison)
    assert f"- also measured: {note}." in MARKDOWN.render(comparison)


def test_render_table_says_what_defenses_take_besides_the_victim(comparison):
    rendered = " ".join(TABLE.render(comparison).split())

    assert (
        "- besides the victim, defenses take: 2+ reference models (merge); base weights, "
        "64+ clean rows (fine-mixing); 32+ clean rows (onion); 64+ clean rows (ulrl, prune"
    ) in rendered
    for row in comparison["rows"]:
        row["needs"] = "nothing" if row["baseline"] else "weights"
    assert "besides the victim" not in TABLE.render(comparison)


def test_render_markdown_has_what_defenses_need_how_they_chose_and_their_isolation(comparison):
    lines = MARKDOWN.render(comparison).splitlines()
    head = next(line for line in lines if line.startswith("| \\#"))
    onion = next(line for line in lines if line.startswith("| 2 | badnets | onion "))

    assert head.endswith(" | needs | selection | isolation |")
    assert onion.endswith(" | 32+ clean rows | clean\\_val | namespace |")


def test_render_says_what_a_ranking_rests_on(comparison):
    ranking = comparison["rankings"][0]
    ranking["friedman"] = {"statistic": 10.4, "p": 0.0342}
    ranking["critical_difference"] = 1.97
    ranking["cliques"] = [["merge", "onion"], ["none"]]
    rendered = " ".join(TABLE.render(comparison).split())

    assert "Friedman's statistic is 10.40, p = .034." in rendered
    assert (
        "Mean ranks closer than 1.97 cannot be told apart (Nemenyi, 5 %): merge, onion." in rendered
    )
    ranking["friedman"]["p"] = 0.5
    assert "do not differ more than chance" in MARKDOWN.render(comparison)


# --- colours ----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def on_a_terminal(monkeypatch):
    """Shows a comparison on a terminal of 200 columns and 256 colours."""
    for name in ("NO_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")

    def on_a_terminal(comparison):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", Terminal())
            return render_for_terminal(comparison)

    return on_a_terminal


ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def test_render_for_a_terminal_differs_from_plain_text_by_colours_only(comparison, on_a_terminal):
    text = on_a_terminal(comparison)

    assert ESCAPE.search(text)
    plain = [line.rstrip() for line in ESCAPE.sub("", text).splitlines()]
    assert plain == TABLE.render(comparison).splitlines()


def test_render_for_a_terminal_marks_what_is_better_and_worse_in_blue_and_orange(
    comparison, row_of, on_a_terminal
):
    row = row_of(comparison, "badnets", "merge")
    row["changes"]["attack"].update(mean=-0.678, significant=True)
    row["changes"]["utility"].update(mean=-0.012, significant=True)
    comparison["rows"], comparison["rankings"] = [row], []
    text = on_a_terminal(comparison)

    assert re.search("38;5;33m *-\\.678\\*", text)
    assert re.search("38;5;172m *-\\.012\\*", text)


def test_render_for_a_terminal_dims_what_is_not_ranked(comparison, row_of, on_a_terminal):
    comparison["rows"] = [row_of(comparison, "lws", "merge")]
    text = on_a_terminal(comparison)

    (line,) = (line for line in text.splitlines() if "merge" in line and "†" in line)
    assert "\x1b[2m" in line


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_render_for_a_terminal_without_colours_is_plain(
    comparison, on_a_terminal, monkeypatch, variable
):
    monkeypatch.setenv(*variable)

    assert "\x1b" not in on_a_terminal(comparison)


def test_render_for_a_terminal_keeps_to_its_width(comparison, on_a_terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    assert max(map(len, on_a_terminal(comparison).splitlines())) <= 80


def test_render_into_a_pipe_is_plain(comparison, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.StringIO())

    assert render_for_terminal(comparison) == TABLE.render(comparison)
