"""``bdbench cite``: what a paper with this comparison cites."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import click

import bdbench
from bdbench.cli.finished import find_comparison
from bdbench.cli.options import common, home_option, say
from bdbench.home import resolve_home
from bdbench.results.render.cells import visible

__all__ = ["cite"]

ENTRY = re.compile(r"^\s*@(\w+)\s*\{\s*([^,\s}]+)\s*,", re.MULTILINE)
"""The head of an entry; it begins a line, as in everything that people write."""


@click.command("cite", epilog="Exit codes: 0 ok, 4 no such run.")
@click.argument("suite", metavar="[SUITE|RUN]", required=False)
@home_option
@common
def cite(suite: str | None, home: str | None) -> int:
    """Print BibTeX for everything in the newest comparison, of SUITE or of one run.

    Each entry once, by its key; bdbench itself comes first.
    """
    _, comparison = find_comparison(resolve_home(home), suite)
    entries: dict[str, str] = {}
    for key, text, component in _entries(comparison):
        if entries.setdefault(key, text) != text:
            say(f"warning: {component}: another entry {key} is printed instead of this one")
    if len(entries) == 1:
        say("no component of this comparison names a source")
    click.echo("\n\n".join(_shown(text) for text in entries.values()))
    return 0


def _entries(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Key, text and origin of each entry."""
    yield "bdbench", _own(comparison), "bdbench"
    for citation in comparison["citations"]:
        yield from _split(citation["bibtex"], citation["component"])


def _split(bibtex: str, component: str) -> Iterator[tuple[str, str, str]]:
    heads = list(ENTRY.finditer(bibtex))
    if not heads and bibtex.strip():
        say(f"warning: {component}: its citation is no BibTeX and is left out")
    ends = [*(head.start() for head in heads[1:]), len(bibtex)]
    for head, end in zip(heads, ends, strict=False):
        yield head[2], bibtex[head.start() : end].strip(), component


def _own(comparison: Mapping[str, Any]) -> str:
    """The entry for bdbench itself: the version that made the comparison, and the year of that."""
    name, _, subtitle = (bdbench.__doc__ or "").rstrip(".").partition(": ")
    fields = {
        "author": "{bdbench contributors}",
        "title": f"{{{name}}}: {subtitle}",
        "version": comparison["bdbench"],
        "year": comparison["created"][:4],
        "note": metadata.metadata("bdbench")["License-Expression"],
    }
    lines = (f"  {field} = {{{value}}}" for field, value in fields.items())
    return "@software{bdbench,\n" + ",\n".join(lines) + "\n}"


def _shown(text: str) -> str:
    return "\n".join(visible(line) for line in text.splitlines())
