"""The page: one file, readable without a network, without scripts, on paper and on a phone."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bdbench.api import Reporter
from bdbench.results.render.html import texts
from bdbench.results.render.html.charts_ranks import ranks
from bdbench.results.render.html.diff import changed
from bdbench.results.render.html.figures import cost_figures, interval_figures, tradeoff_figures
from bdbench.results.render.html.heatmap import heat_map
from bdbench.results.render.html.palette import STEPS, sheet
from bdbench.results.render.html.places import Place, column_of, places
from bdbench.results.render.html.table import table
from bdbench.results.render.html.verdict import findings, rank

__all__ = ["HtmlReporter"]

HERE = "bdbench.results.render.html"


class HtmlReporter(Reporter):
    """One self-contained page with charts, tables and provenance."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        """The page. Nothing in it is loaded, and nothing in a name can act.

        The content policy admits the style and the script that this package brings, by their
        digests, and nothing else.
        """
        style = _asset("style.css") + sheet()
        script = _asset("page.js")
        full = table(comparison)
        return (
            _environment()
            .get_template("page.html.j2")
            .render(
                comparison=comparison,
                policy=_policy(style, script),
                style=Markup(style),  # noqa: S704 -- a file of this package
                script=Markup(script),  # noqa: S704 -- a file of this package
                places=[_part(comparison, place) for place in places(comparison)],
                table=full,
                data=inlined({"columns": full.data}),
                hidden=sum("." in column["name"] for column in comparison["columns"]),
                steps=range(STEPS),
            )
        )


def _part(comparison: Mapping[str, Any], place: Place) -> dict[str, Any]:
    here = (place.dataset, place.model)
    return {
        "place": place,
        "findings": findings(comparison, place),
        "diagram": ranks(place),
        "heat": heat_map(comparison, place),
        "utility": column_of(comparison, "utility"),
        "attack": column_of(comparison, "attack"),
        "tradeoffs": tradeoff_figures(comparison, place),
        "intervals": interval_figures(comparison, place),
        "costs": cost_figures(place),
        "examples": [
            {"example": example, "fields": _fields(example)}
            for example in comparison["examples"]
            if (example["dataset"], example["model"]) == here
        ],
    }


def _fields(example: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = dict.fromkeys([*example["before"], *example["after"]])
    fields = []
    for name in names:
        old, new = changed(example["before"].get(name, ""), example["after"].get(name, ""))
        fields.append({"name": name, "before": old, "after": new})
    return fields


def _policy(style: str, script: str) -> str:
    return (
        "default-src 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def inlined(data: object) -> Markup:
    """Data for the script: JSON in ASCII, in which no tag can begin or end."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 -- no character is left that HTML acts on


def _json(value: object) -> str:
    """A setting as one would write it: text bare, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _asset(name: str) -> str:
    return files(HERE).joinpath("templates", name).read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(HERE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=texts.output,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": texts.amount,
        "json": _json,
        "listing": texts.listing,
        "number": texts.number,
        "p_words": texts.p_words,
        "paragraphs": texts.paragraphs,
        "rank": rank,
    }
    environment.globals |= {"count": texts.count}
    return environment
