"""Each format shows the same comparison, and lets no hostile name act on its reader."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from pathlib import Path

import pytest

from bdbench.results.render.machine import CsvReporter, JsonReporter
from bdbench.results.render.markdown import MarkdownReporter
from bdbench.results.render.table import TableReporter

GOLDEN = Path(__file__).with_name("golden")
"""What each format looked like when somebody last looked. With BDBENCH_UPDATE_GOLDEN=1 the
tests write these files anew: then look at the difference."""

FORMATS = {
    "table.txt": TableReporter,
    "markdown.md": MarkdownReporter,
    "comparison.csv": CsvReporter,
    "comparison.json": JsonReporter,
}
FOR_PEOPLE = {name: FORMATS[name] for name in ("table.txt", "markdown.md")}

HOSTILE = {
    "escape": "\x1b[31mred\x1b[0m",
    "csi": "\x9b31mred",
    "bell": "a\x07b",
    "right to left": "abc\u202egnp.exe",
    "isolate": "a\u2066b",
    "zero width": "a\u200bb",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "script": "</script><script>alert(1)</script>",
    "pipe": "a|b",
    "markdown": "**a** `b` [c](d) ![e](f) # g",
    "rich markup": "[bold red]a[/bold red][/]",
    "formula": '=HYPERLINK("http://x")',
    "plus formula": "+1+1",
    "minus formula": "-1+1",
    "at formula": "@SUM(A1)",
    "tab formula": "\t=1+1",
    "quotes": "a\"b,'c",
    "wide": "名前" * 3,
    "long": "x" * 300,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_comparison_looks_as_it_did(comparison, name):
    text = FORMATS[name](None).render(comparison)
    if os.environ.get("BDBENCH_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_text(text, "utf-8")

    assert text == (GOLDEN / name).read_text("utf-8")


@pytest.mark.parametrize("reporter", FORMATS.values(), ids=FORMATS)
def test_a_comparison_without_rows_can_be_shown(comparison, reporter):
    comparison["rows"] = []

    assert reporter(None).render(comparison)


@pytest.mark.parametrize("reporter", FOR_PEOPLE.values(), ids=FOR_PEOPLE)
def test_every_data_set_and_model_has_a_table_of_its_own(comparison, reporter):
    other = [{**row, "dataset": "sms"} for row in comparison["rows"][:2]]
    comparison["rows"] += other

    text = reporter(None).render(comparison)

    assert text.count("· minilm") == 2
    assert text.index("sst2 · minilm") < text.index("wag") < text.index("sms · minilm")


def hostile(comparison, text):
    """The comparison with one string in every place that a plugin or a suite names."""
    for row in comparison["rows"]:
        for key in ("dataset", "model", "attack", "defense", "needs"):
            row[key] = text
        row["reasons"] = [text]
        row["values"] = {text if key == "asr" else key: v for key, v in row["values"].items()}
    for column in comparison["columns"]:
        column["summary"] = column["metric"] = column["unit"] = text
        if column["name"] == "asr":
            column["name"] = text
    comparison["notes"] = [text]
    return comparison


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("reporter", FORMATS.values(), ids=FORMATS)
def test_nothing_in_a_name_acts_on_a_terminal_or_hides(comparison, reporter, text):
    rendered = reporter(None).render(hostile(comparison, text))

    assert not {char for char in rendered if unicodedata.category(char)[0] == "C"} - {"\n"}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_table_is_at_most_120_columns_wide(comparison, text):
    for line in TableReporter(None).render(hostile(comparison, text)).splitlines():
        width = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)
        assert width <= 120


@pytest.mark.parametrize("text", ["[bold red]a[/bold red][/]", "[link=http://x]a[/link]"])
def test_markup_in_a_name_is_shown_as_it_is(comparison, text):
    rendered = TableReporter(None).render(hostile(comparison, text))

    assert "[/" in rendered


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_markdown_row_has_the_cells_of_its_head(comparison, text):
    rendered = MarkdownReporter(None).render(hostile(comparison, text))
    lines = [line for line in rendered.splitlines() if line.startswith("|")]

    assert len(lines) == 2 + 6
    # A bar that is not escaped begins a new cell.
    counts = {line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines}
    assert len(counts) == 1


def test_markdown_holds_no_html_and_no_links(comparison):
    rendered = MarkdownReporter(None).render(hostile(comparison, HOSTILE["script"]))
    assert "<" not in rendered.replace("\\<", "")

    rendered = MarkdownReporter(None).render(hostile(comparison, HOSTILE["markdown"]))
    bare = rendered.replace("\\[", "").replace("\\]", "").replace("\\`", "")
    assert not set(bare) & set("[]`")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_csv_has_one_line_a_row_that_no_spreadsheet_takes_for_a_formula(comparison, text):
    rendered = CsvReporter(None).render(hostile(comparison, text))
    rows = list(csv.reader(io.StringIO(rendered, newline="")))

    assert len(rendered.splitlines()) == len(rows) == 1 + 6
    assert {len(row) for row in rows} == {13}
    texts = [cell for row in rows for cell in (*row[:4], row[5])] + rows[0]
    assert not [cell for cell in texts if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}]


def test_csv_keeps_full_precision_and_leaves_what_is_not_there_empty(comparison):
    rows = list(csv.DictReader(io.StringIO(CsvReporter(None).render(comparison))))

    assert rows[2]["asr"] == "0.1234567890123"
    assert rows[2]["clean_accuracy_change"] == "-0.02"
    assert (rows[3]["asr"], rows[3]["defense_seconds"], rows[3]["seeds"]) == ("", "", "0")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_json_gives_back_exactly_what_it_was_given(comparison, text):
    hostile(comparison, text)

    assert json.loads(JsonReporter(None).render(comparison)) == comparison


def test_values_for_people_have_three_digits_a_sign_for_changes_and_their_unit(comparison):
    text = MarkdownReporter(None).render(comparison)

    assert "| badnets | merge | 0.880 | -0.020 | 0.123 | 0.080 | 2 | 1 (1 failed) |" in text
    assert "| none | none | 0.912 | +0.000 | - | - | 0.00125 | 2 |" in text


@pytest.mark.parametrize("reporter", FOR_PEOPLE.values(), ids=FOR_PEOPLE)
def test_a_table_for_people_keeps_what_matters_of_many_columns(comparison, reporter):
    column = comparison["columns"][0]
    extra = [f"extra_{number}" for number in range(20)]
    comparison["columns"] = [{**column, "name": name} for name in extra] + comparison["columns"]
    for row in comparison["rows"]:
        row["values"] |= dict.fromkeys(extra, 0.5)

    text = reporter(None).render(comparison)

    assert "ASR" in text
    assert text.count("extra") == 4
    assert "more columns in the formats csv and json" in text
    assert all(len(line) <= 120 for line in text.splitlines() if reporter is TableReporter)
