"""Tables for papers: they compile, and say what the comparison says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import unicodedata

import pytest

from bdbench.results.render.latex import LatexReporter
from bdbench.results.render.latex_config import LatexConfig
from bdbench.results.render.latex_text import comment, escape

HOSTILE = {
    "commands": "\\input{/etc/passwd} \\write18{id} \\end{document}",
    "specials": "\\ { } $ & # ^ _ % ~",
    "unbalanced": "}}}{{{",
    "comment": "% \\def\\x{",
    "arguments": "[3] * [x",
    "ligatures": "-- --- '' `` ,, <<>> ?` !`",
    "quotes": "\"a\" 'b'",
    "accents": "Gödel, Erdős, Dvořák, Łukasiewicz, naïve, İ, ç",
    "signs": "\u03b1 ≤ β → Δ \u00d7 3 ± 1 … \u2013 —",
    "other scripts": "名前 данные नाम",
    "emoji": "🙂",
    "control": "a\x00\x07\x1b[31m\nb\rc\td",
    "bidi": "a\u202e\u2066b\u200bc",
    "surrogate": "a\ud800b",
    "separators": "a\u2028b\u2029c",
    "long": "x" * 300,
    "empty": "",
    "spaces": "   ",
}


OVERFULL = re.compile(r"Overfull \\hbox \(([\d.]+)pt too wide\)")


@pytest.fixture(scope="session")
def compile_latex(tmp_path_factory):
    """Compiles a document without a shell; gives what LaTeX said."""
    program = shutil.which("pdflatex")
    if not program:
        pytest.skip("pdflatex is not installed")

    def compile_latex(text):
        folder = tmp_path_factory.mktemp("latex")
        (folder / "paper.tex").write_text(text, "ascii")
        options = ["-no-shell-escape", "-halt-on-error", "-interaction=nonstopmode"]
        done = subprocess.run(
            [program, *options, "paper.tex"],
            cwd=folder,
            capture_output=True,
            timeout=120,
            check=False,
        )
        said = done.stdout.decode("latin-1")
        assert done.returncode == 0, said[-3000:]
        assert (folder / "paper.pdf").stat().st_size > 1000
        return said

    return compile_latex


def render(comparison, **settings):
    return LatexReporter(LatexConfig(**settings)).render(comparison)


def table_of(comparison, *defenses, attack="badnets"):
    """The lines of a table of one attack on the first data set, with its notes."""
    comparison["rows"] = [
        row
        for row in comparison["rows"]
        if row["dataset"] == "sst2" and row["attack"] == attack and row["defense"] in defenses
    ]
    comparison["rankings"] = []
    return render(comparison).splitlines()


# --- text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\\", "\\textbackslash{}"),
        ("{$&#%_}", "\\{\\$\\&\\#\\%\\_\\}"),
        ("^~", "\\textasciicircum{}\\textasciitilde{}"),
        ("[a]*", "{[}a{]}{*}"),
        ("a--b", "a-{}-b"),
        ("é", "\\'{e}"),
        ("ï", '\\"{\\i}'),
        ("ő", "\\H{o}"),
        ("名", "{[}U+540D{]}"),
        ("\u202e", "{[}U+202E{]}"),
        ("\n", "{[}U+000A{]}"),
        ("fine-mixing", "fine-mixing"),
    ],
)
def test_latex_escapes(text, escaped):
    assert escape(text) == escaped


def test_latex_escapes_every_character_to_ascii_without_a_bare_special():
    harmless = re.compile(r"\\[A-Za-z]+|\\[`'^~=.\"{}$&#%_]|\{\}")
    for code in range(sys.maxunicode + 1):
        text = escape(chr(code))
        assert text.isascii(), code
        assert "\n" not in text
        # What is left after known commands must not be special; a tie is a blank.
        left = harmless.sub("", text).replace("^{\\circ}", "")
        left = left if chr(code) == "\u00a0" else left.replace("~", "!")
        assert not set(left) & set("\\$&#%_^!") - ({"!"} & {chr(code)}), (code, text)


def test_latex_comments_stay_on_their_line():
    text = comment("a\nb\r\\end{document}\u2028é")

    assert text == "aU+000AbU+000D\\end{document}U+2028U+00E9"


# --- tables -----------------------------------------------------------------------------------


def test_latex_has_a_row_for_each_defense_and_columns_for_each_attack(comparison):
    comparison["rows"] = [row for row in comparison["rows"] if row["attack"] in {"none", "badnets"}]
    comparison["rankings"] = []
    lines = render(comparison).splitlines()

    assert " & \\multicolumn{1}{c}{none (control)} & \\multicolumn{2}{c}{badnets} \\\\" in lines
    assert "defense & CA $\\uparrow$ & ASR $\\downarrow$ & CA $\\uparrow$ \\\\" in lines
    assert sum(line.startswith("fine-mixing & ") for line in lines) == 2


def test_latex_sets_the_best_mean_bold_with_its_ties(comparison, row_of):
    for defense, mean in (("merge", 0.12341), ("onion", 0.12349), ("prune", 0.1236)):
        row = next(row for row in comparison["rows"] if row["defense"].startswith(defense))
        row = row_of(comparison, "badnets", row["defense"])
        row["values"]["asr"]["mean"] = mean
    # Isolation keeps it out: the least, and not the best.
    row_of(comparison, "badnets", "ulrl")["values"]["asr"]["mean"] = 0.01
    lines = "\n".join(table_of(comparison, "none", "merge", "onion", "ulrl"))

    assert lines.count("\\textbf{12.3}") == 2
    assert "\\textbf{1.0}" not in lines
    row_of(comparison, "badnets", "ulrl")["values"]["asr"]["mean"] = 0.12341
    lines = "\n".join(table_of(comparison, "none", "merge", "onion", "ulrl"))
    assert lines.count("\\textbf{12.3}") == 2
    assert "\\textbf{Bold}: the lowest ASR of an attack among ranked defenses, ties" in lines


def test_latex_marks_what_is_significant(comparison, row_of):
    for defense, significant in (("merge", True), ("onion", False)):
        changes = row_of(comparison, "badnets", defense)["changes"]
        changes["attack"]["significant"] = significant
        changes["utility"]["significant"] = False
    lines = table_of(comparison, "merge", "onion")

    (merge,) = (line for line in lines if line.startswith("merge"))
    (onion,) = (line for line in lines if line.startswith("onion"))
    assert merge.count("\\rlap{$^{*}$}") == 1
    assert "*" not in onion
    assert any(line.startswith("$^{*}$ differs from no defense") for line in lines)


def test_latex_greys_an_attack_that_did_not_take_and_says_why(comparison, row_of):
    reason = row_of(comparison, "lws", "merge")["gate"]["reason"]
    lines = table_of(comparison, "merge", attack="lws")

    (merge,) = (line for line in lines if line.startswith("merge"))
    assert merge.count("\\textcolor{black!55}") == 2
    assert any("\\textcolor{black!55}{lws$^{\\dagger}$}" in line for line in lines)
    assert any(f"lws is not ranked: {reason}." in line for line in lines)


def test_latex_greys_a_row_that_is_not_ranked_and_says_why(comparison):
    lines = table_of(comparison, "merge", "ulrl")

    (ulrl,) = (line for line in lines if line.startswith("ulrl"))
    assert ulrl.count("\\textcolor{black!55}") == 2
    assert "\\mathrm{a}" in ulrl
    assert any("$^{\\mathrm{a}}$ not ranked: isolation: process." in line for line in lines)


def test_latex_shows_intervals_where_they_are_asked_for(comparison, row_of):
    estimate = row_of(comparison, "badnets", "merge")["values"]["asr"]
    estimate.update(mean=0.322, low=0.281, high=0.364)

    assert "32.2" in render(comparison)
    assert "{\\scriptsize [28.1, 36.4]}" in render(comparison, intervals=True)
    assert "scriptsize" not in render(comparison)


def test_latex_needs_only_what_it_says(comparison):
    text = render(comparison, intervals=True)

    assert "% Needs \\usepackage{booktabs} and \\usepackage{xcolor}." in text
    commands = set(re.findall(r"\\[A-Za-z]+", text))
    beyond_latex = {"\\toprule", "\\midrule", "\\bottomrule", "\\cmidrule", "\\textcolor"}
    assert beyond_latex <= commands
    assert not commands & {"\\resizebox", "\\multirow", "\\documentclass", "\\usepackage"} - {
        "\\usepackage"
    }


def test_latex_labels_are_distinct(comparison):
    labels = re.findall(r"\\label\{([^}]*)\}", render(comparison))

    assert len(labels) == len(set(labels)) == 4
    assert all(re.fullmatch(r"[a-z0-9:-]+", label) for label in labels)


# --- pdflatex ---------------------------------------------------------------------------------


@pytest.mark.parametrize("intervals", [False, True])
def test_latex_standalone_compiles_by_itself(comparison, compile_latex, intervals):
    said = compile_latex(render(comparison, standalone=True, intervals=intervals))

    assert "undefined" not in said
    assert "multiply defined" not in said


def test_latex_can_be_read_into_a_paper(comparison, compile_latex):
    compile_latex(
        "\\documentclass[twocolumn]{article}\\usepackage{booktabs}\\usepackage{xcolor}"
        f"\\begin{{document}}Text.\n{render(comparison)}\nMore.\\end{{document}}\n"
    )


@pytest.mark.parametrize("intervals", [False, True])
@pytest.mark.parametrize("defenses", [6, 30])
def test_latex_keeps_to_the_page_of_an_article(comparison, compile_latex, intervals, defenses):
    rows = [row for row in comparison["rows"] if row["dataset"] == "sst2"]
    comparison["rows"] = [
        {**row, "defense": f"{row['defense']}{f'-no-{time}' * (time > 0)}"}
        for time in range(defenses // 6)
        for row in rows
    ]
    said = compile_latex(
        "\\documentclass{article}\\usepackage{booktabs}\\usepackage{xcolor}"
        f"\\begin{{document}}Text.\n{render(comparison, intervals=intervals)}\\end{{document}}\n"
    )

    assert [float(found) for found in OVERFULL.findall(said) if float(found) > 1] == []
    assert "Float too large" not in said


def test_latex_of_a_whole_document_keeps_to_its_page(comparison, compile_latex):
    said = compile_latex(render(comparison, standalone=True, intervals=True))

    assert [float(found) for found in OVERFULL.findall(said) if float(found) > 1] == []


def test_latex_names_the_worst_attack_of_each_defense(comparison):
    first, *others = comparison["rankings"][0]["defenses"]
    first["worst_attack"]["attack"] = "insertsent"
    comparison["rankings"] = comparison["rankings"][:1]
    for entry in others:
        entry["defense"] = entry["defense"][:5]

    assert (
        "Worst ASR: under insertsent for merge; under badnets for onion, prune, none.\\par"
        in render(comparison)
    )


def test_latex_with_hostile_names_everywhere_compiles(comparison, compile_latex):
    texts = list(HOSTILE.values())
    defenses = list(dict.fromkeys(row["defense"] for row in comparison["rows"]))
    attacks = list(dict.fromkeys(row["attack"] for row in comparison["rows"]))
    renamed = {
        name: texts[at % len(texts)] + str(at) for at, name in enumerate([*defenses, *attacks])
    }
    for at, row in enumerate(comparison["rows"]):
        row["dataset"] += texts[1]
        row["model"] = texts[0]
        row["attack"], row["defense"] = renamed[row["attack"]], renamed[row["defense"]]
        row["unranked_because"] = row["gate"]["reason"] = texts[at % len(texts)]
    for ranking in comparison["rankings"]:
        ranking["dataset"] += texts[1]
        ranking["model"] = texts[0]
        ranking["attacks"] = texts
        ranking["cliques"] = [texts]
        ranking["note"] = " ".join(texts)
        for entry in ranking["defenses"]:
            entry["defense"] = renamed[entry["defense"]]
            entry["worst_attack"]["attack"] = renamed[entry["worst_attack"]["attack"]]
    comparison["run_id"] = " ".join(texts)

    said = compile_latex(render(comparison, standalone=True))
    assert "root:" not in said


def test_latex_sets_a_sample_of_all_characters(compile_latex):
    """One of every twenty of the plane that names are written in, and all of Latin."""
    codes = [*range(0x250), *range(0x250, 0x10000, 20)]
    signs = [chr(code) for code in codes if unicodedata.category(chr(code)) != "Cs"]
    lines = "\n\n".join(escape("".join(signs[at : at + 40])) for at in range(0, len(signs), 40))

    said = compile_latex(f"\\documentclass{{article}}\\begin{{document}}{lines}\\end{{document}}")
    assert "Missing character" not in said
