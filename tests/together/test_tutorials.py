"""Every command and every piece of code in docs/plugins does what the page says.

What a block is for stands after its language:

    sh                      commands, run in order; a `cd` lasts
    sh not-run              commands that need an index or an account: not run here
    text, toml, yaml, csv   something to look at
    python PATH             an excerpt: stands in that file, word for word
    python replace PATH     takes the place of what has the same name in that file
    python replace PATH C   likewise, of a method of the class C
    python replace-line PATH  takes the place of its own first line
    python append PATH      goes to the end of that file
    python example          is loaded by tests/contract/test_versions.py

Suites run with one seed and few rows; the pages show what came out with the settings as they stand.
"""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from pathlib import Path

import pytest
import yaml

from bdbench.api import API_VERSION
from bdbench.host.registry import load_registry
from bdbench.host.scaffold.naming import KINDS

DOCS = Path(__file__).parents[2] / "docs" / "plugins"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TINY = {"BDBENCH_RUN_SEEDS": "0", "BDBENCH_RUN_LIMIT": "80"}
LOOK = {"text", "toml", "yaml", "csv"}


def blocks(page):
    return [(kind, words.split(), code) for kind, words, code in BLOCK.findall(page.read_text())]


def extent(source, name, within=None):
    """First and last line, counted from 1, of what has a name."""
    body = ast.parse(source).body
    if within:
        body = next(node.body for node in body if getattr(node, "name", "") == within)
    for node in body:
        targets = getattr(node, "targets", [])
        if name in {getattr(node, "name", None), *(getattr(each, "id", None) for each in targets)}:
            return node.lineno, node.end_lineno
    raise AssertionError(f"nothing is called {name!r}")


def edit(folder, words, code):
    """Does with a piece of Python what the words after it say."""
    action, place, *within = words if len(words) > 1 else ["excerpt", *words]
    file = folder / place
    source = file.read_text("utf-8")
    if action == "excerpt":
        assert code in source, f"{place} does not hold:\n{code}"
    elif action == "append":
        file.write_text(f"{source}\n\n{code}", "utf-8")
    elif action == "replace-line":
        line = code.partition("\n")[0] + "\n"
        assert source.count(line) == 1
        file.write_text(source.replace(line, code), "utf-8")
    else:
        assert action == "replace"
        (node,) = ast.parse(code).body
        name = node.targets[0].id if isinstance(node, ast.Assign) else node.name
        first, last = extent(source, name, *within)
        lines = source.splitlines(keepends=True)
        lines[first - 1 : last] = [textwrap.indent(code, "    " * bool(within))]
        file.write_text("".join(lines), "utf-8")
        assert file.read_text("utf-8") != source


class Reader:
    """Somebody who does what a page says, in a folder of their own."""

    def __init__(self, workbench, folder):
        self.workbench, self.folder, self.said = workbench, folder, {}

    def do(self, kind, words, code):
        if kind == "python":
            edit(self.folder, words, code)
        elif kind == "sh" and words != ["not-run"]:
            for line in code.splitlines():
                self.said[line] = self._run(line)

    def _run(self, line):
        command, *arguments = shlex.split(line, comments=True)
        if command == "cd":
            self.folder = self.folder / arguments[0]
            return ""
        return self.workbench.run(line, self.folder, **TINY)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tutorial_does_what_it_says(workbench, tmp_path, kind):
    page = blocks(DOCS / f"{kind}.md")
    reader = Reader(workbench, tmp_path)
    for block in page:
        reader.do(*block)

    suite = yaml.safe_load((reader.folder / "suite.yaml").read_text("utf-8"))
    board = reader.said[next(line for line in reader.said if line.startswith("bdbench leaderb"))]
    assert suite["name"] in reader.folder.name
    if kind == "metric":
        assert re.search(r",confidence,.*,confidence_share,.*,confidence_worst,", board)
    else:
        # What the page shows has the rows and columns that the command prints.
        for text in (board, next(code for look, _, code in page if look == "text")):
            assert suite["name"] in text
            assert re.search(r"ASR .*Δ ASR .*clean acc\.", text)
    # What the reader wrote is as well-formed as what was there.
    workbench.run("ruff check --no-cache . && ruff format --no-cache --check .", reader.folder)


@pytest.mark.parametrize("name", ["index", *KINDS, "publish", "reference"])
def test_every_block_says_what_it_is_for(name):
    page = DOCS / f"{name}.md"
    tutorial = page.stem in KINDS
    for kind, words, _ in blocks(page):
        if page.stem == "reference":
            assert (kind, words) in [("python", []), ("toml", [])]
        elif kind == "sh":
            assert words == ["not-run"] or (tutorial and not words)
        elif kind == "python":
            assert tutorial != (words == ["example"])
            assert words
        else:
            assert kind in LOOK
    assert page.read_text().count("```") == 2 * len(blocks(page)), "a block is not read"


def test_the_entry_for_the_registry_is_well_formed(tmp_path):
    (entry,) = (code for kind, _, code in blocks(DOCS / "publish.md") if kind == "yaml")
    file = tmp_path / "registry.yaml"
    file.write_text("plugins:\n" + entry, "utf-8")
    (listed,) = load_registry(file).plugins
    assert listed.provides == ["attack:rare-token"]
    assert listed.supports(API_VERSION)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tutorial_is_short(kind):
    assert len((DOCS / f"{kind}.md").read_text().splitlines()) <= 135


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    text = re.sub(r"`[^`]*`", "", BLOCK.sub("", page.read_text()))
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        place = (page.parent / file) if file else page
        assert place.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", place.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert anchor in anchors, target
