"""Each format shows the same comparison, and lets no hostile name act on its reader."""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from pathlib import Path

import pytest

from bdbench.results.render.latex import LatexReporter
from bdbench.results.render.latex_config import LatexConfig
from bdbench.results.render.machine import CsvReporter, JsonReporter
from bdbench.results.render.markdown import MarkdownReporter
from bdbench.results.render.table import TableReporter

GOLDEN = Path(__file__).with_name("golden")
"""What each format looked like when somebody last looked. With BDBENCH_UPDATE_GOLDEN=1 the
tests write these files anew: then look at the difference."""

REPORTERS = {
    "table.txt": TableReporter(None),
    "markdown.md": MarkdownReporter(None),
    "comparison.csv": CsvReporter(None),
    "latex.tex": LatexReporter(None),
    "standalone.tex": LatexReporter(LatexConfig(intervals=True, standalone=True)),
    "json": JsonReporter(None),
}
FORMATS = [name for name in REPORTERS if name != "json"]

HOSTILE = {
    "escape": "\x1b[31mred\x1b[0m",
    "csi": "\x9b31mred",
    "bell": "a\x07b",
    "right to left": "abc\u202egnp.exe",
    "isolate": "a\u2066b",
    "zero width": "a\u200bb",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "line separator": "a\u2028b",
    "surrogate": "a\ud800b",
    "script": "</script><script>alert(1)</script>",
    "pipe": "a|b",
    "markdown": "**a** `b` [c](d) ![e](f) # g",
    "address": "http://example.org www.example.org",
    "rich markup": "[bold red]a[/bold red][/]",
    "formula": '=HYPERLINK("http://x")',
    "plus formula": "+1+1",
    "minus formula": "-1+1",
    "at formula": "@SUM(A1)",
    "tab formula": "\t=1+1",
    "quotes": "a\"b,'c",
    "latex": "\\input{/etc/passwd} $x$ & # ^ _ % ~ {",
    "wide": "名前" * 3,
    "long": "x" * 300,
}


def render(name, comparison):
    return REPORTERS[name].render(comparison)


@pytest.mark.parametrize("name", FORMATS)
def test_render_looks_as_it_did(comparison, name):
    text = render(name, comparison)
    if os.environ.get("BDBENCH_UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(text, "utf-8")

    assert text == (GOLDEN / name).read_text("utf-8")


@pytest.mark.parametrize("name", REPORTERS)
def test_render_shows_a_comparison_without_rows(comparison, name):
    comparison["rows"] = comparison["rankings"] = []

    assert render(name, comparison)


@pytest.mark.parametrize("name", REPORTERS)
def test_render_shows_a_suite_whose_metrics_have_no_roles(comparison, name):
    comparison["roles"] = {"attack": None, "utility": None, "floor": None}
    comparison["rankings"] = []
    for column in comparison["columns"]:
        column["role"] = None
    for row in comparison["rows"]:
        row.update(over_floor=None, control_effect=None, ranked=False, unranked_because="no roles")
        row["changes"] = {"attack": None, "utility": None}

    assert "asr" in render(name, comparison).lower()


@pytest.mark.parametrize("name", REPORTERS)
def test_render_shows_rows_that_failed_or_cannot_run(comparison, name):
    for row in comparison["rows"]:
        row["values"] = dict.fromkeys(row["values"])
        row["cost"] = dict.fromkeys(row["cost"])
        row.update(seeds=[], status={"failed": 3}, over_floor=None, control_effect=None)
        row.update(changes={"attack": None, "utility": None}, ranked=False)
        row["unranked_because"] = "3 of 3 cells failed"
    comparison["rankings"] = []

    assert "3 of 3 cells failed" in render(name, comparison)


# --- hostile names ----------------------------------------------------------------------------


def hostile(comparison, text):
    """The comparison with one string in every place that a plugin or a suite names."""
    renamed = {name: f"{text} {at}" for at, name in enumerate(labels(comparison))}

    def name(label):
        return renamed[label]

    for row in comparison["rows"]:
        for key in ("dataset", "model", "attack", "defense"):
            row[key] = name(row[key])
        row["needs"] = row["unranked_because"] = row["gate"]["reason"] = text
        row["reasons"] = [text]
        row["values"] = {text if key == "der" else key: v for key, v in row["values"].items()}
    for column in comparison["columns"]:
        column["summary"] = column["metric"] = column["unit"] = text
        if column["name"] == "der":
            column["name"] = text
    for ranking in comparison["rankings"]:
        ranking.update(dataset=name(ranking["dataset"]), model=name(ranking["model"]), note=text)
        ranking["attacks"] = list(map(name, ranking["attacks"]))
        ranking["left_out"] = [{"attack": text, "reason": text}]
        ranking["cliques"] = [list(map(name, group)) for group in ranking["cliques"]]
        for entry in ranking["defenses"]:
            entry["defense"] = name(entry["defense"])
            entry["worst_attack"]["attack"] = name(entry["worst_attack"]["attack"])
    comparison["run_id"] = comparison["bdbench"] = text
    comparison["notes"] = [text]
    return comparison


def labels(comparison):
    keys = ("dataset", "model", "attack", "defense")
    return dict.fromkeys(row[key] for row in comparison["rows"] for key in keys)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", REPORTERS)
def test_render_lets_nothing_in_a_name_act_on_a_terminal_or_hide(comparison, name, text):
    rendered = render(name, hostile(comparison, text))

    acting = {char for char in rendered if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co"}}
    assert acting <= {"\n"}
    assert not {"\u2028", "\u2029"} & set(rendered)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_render_table_is_at_most_120_columns_wide(comparison, text):
    for line in render("table.txt", hostile(comparison, text)).splitlines():
        width = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)
        assert width <= 120


@pytest.mark.parametrize("text", ["[bold red]a[/bold red][/]", "[link=http://x]a[/link]"])
def test_render_table_shows_markup_in_a_name_as_it_is(comparison, text):
    rendered = render("table.txt", hostile(comparison, text))

    assert "[/" in rendered


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_render_markdown_rows_have_the_cells_of_their_head(comparison, text):
    rows, rankings = len(comparison["rows"]), comparison["rankings"]
    rendered = render("markdown.md", hostile(comparison, text))
    lines = [line for line in rendered.splitlines() if line.startswith("|")]
    # A bar that is not escaped begins a new cell.
    counts = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines]

    ranked = sum(len(ranking["defenses"]) for ranking in rankings)
    assert len(lines) == rows + ranked + 2 * (2 + len(rankings))
    assert len(set(counts)) == 2


def test_render_markdown_holds_no_html_and_no_links(comparison):
    rendered = render("markdown.md", hostile(comparison, HOSTILE["script"]))
    assert "<" not in rendered.replace("\\<", "")

    rendered = render("markdown.md", hostile(comparison, HOSTILE["markdown"]))
    bare = rendered.replace("\\[", "").replace("\\]", "").replace("\\`", "")
    assert not set(bare) & set("[]`")

    rendered = render("markdown.md", hostile(comparison, HOSTILE["address"]))
    assert "http:\\//example.org" in rendered
    assert not re.search(r"https?://|www\.", rendered)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_render_csv_has_one_line_a_row_that_no_spreadsheet_takes_for_a_formula(comparison, text):
    count = len(comparison["rows"])
    rendered = render("comparison.csv", hostile(comparison, text))
    rows = list(csv.reader(io.StringIO(rendered, newline="")))

    assert len(rendered.split("\n")) - 1 == len(rows) == 1 + count
    assert len({len(row) for row in rows}) == 1
    texts = [cell for row in rows for cell in row if not is_number(cell)]
    assert texts
    assert not [cell for cell in texts if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}]


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
