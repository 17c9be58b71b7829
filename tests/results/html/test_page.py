"""The page is one file, says what it may do, and shows every comparison there can be."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from bdbench.results.render.html.page import HtmlReporter, inlined
from bdbench.results.render.html.texts import number, quantity

GOLDEN = Path(__file__).with_name("golden") / "page.html"
"""What the page looked like when somebody last looked, without its style and script. With
BDBENCH_UPDATE_GOLDEN=1 the test writes it anew: then look at the difference, in a browser too."""

RICH = Path(__file__).parents[1] / "golden" / "comparison.json"

VARIATIONS = {
    "one seed": {"seeds": (0,)},
    "two seeds": {"seeds": (0, 1)},
    "one attack": {"attacks": ("badnets",)},
    "no attack that took": {"attacks": ("lws",)},
    "only the control": {"attacks": ()},
    "several places": {"places": (("sst2", "minilm"), ("ag-news", "minilm"), ("sst2", "bert"))},
}


def render(comparison):
    return HtmlReporter(None).render(comparison)


def block(text, tag):
    return re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]


def test_the_page_looks_as_it_did(make):
    text = render(make(attacks=("badnets", "lws")))
    for tag in ("style", "script"):
        text = text.replace(block(text, tag), "")
    text = re.sub(r"sha256-[\w+/=]+", "sha256-digest", text)
    if os.environ.get("BDBENCH_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, "utf-8")

    assert text == GOLDEN.read_text("utf-8")


def test_the_same_comparison_makes_the_same_page(make):
    assert render(make()) == render(make())


@pytest.mark.parametrize("settings", VARIATIONS.values(), ids=VARIATIONS)
def test_every_comparison_makes_a_page(make, parse, settings):
    page = parse(render(make(**settings)))
    identities = [a["id"] for _, a in page.elements if "id" in a]
    links = [a["href"] for a in page.of("a")]

    assert len(identities) == len(set(identities))
    assert {link.removeprefix("#") for link in links} <= set(identities)
    assert len(page.of("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_rich_example_makes_a_page(parse):
    page = parse(render(json.loads(RICH.read_text("utf-8"))))

    assert len(page.of("svg")) > 30


def test_a_comparison_without_rows_says_so(comparison, parse):
    comparison |= {"rows": [], "rankings": [], "examples": [], "citations": []}

    assert "Nothing to compare" in parse(render(comparison)).inside("h2")


def test_what_is_missing_is_said(make):
    assert "Nothing could be ranked here: 1 seed" in render(make(seeds=(0,)))
    assert "too few seeds for intervals" in render(make(seeds=(0,)))
    assert "One attack: no test over attacks." in render(make(attacks=("badnets",)))
    assert "No critical difference could be given" in render(make(attacks=("badnets",)))
    assert "only the control was run" in render(make(attacks=()))


@pytest.mark.parametrize("role", ["attack", "utility", "floor"])
def test_a_suite_without_a_metric_of_a_role_has_a_page(comparison, role):
    comparison["roles"][role] = None

    assert render(comparison)


def test_part_of_a_suite_is_marked(comparison):
    assert "Part of the suite only" not in render(comparison)
    comparison["partial"] = True
    assert "Part of the suite only" in render(comparison)


def test_rows_without_values_say_why(comparison):
    failed, impossible = comparison["rows"][8:10]
    for row in (failed, impossible):
        row |= {"seeds": [], "over_floor": None, "control_effect": None, "ranked": False}
        row["changes"] = {"attack": None, "utility": None}
        row["values"] = dict.fromkeys(row["values"])
    failed |= {"failed": 3, "status": {"failed": 3}, "reasons": ["out of memory"]}
    impossible |= {"status": {"incompatible": 3}, "reasons": ["needs gradients"]}
    text = render(comparison)

    assert 'title="out of memory">failed' in text
    assert 'title="needs gradients">cannot run' in text


def test_the_policy_admits_this_style_and_this_script_and_nothing_else(comparison, parse):
    text = render(comparison)
    policy = next(
        a["content"]
        for a in parse(text).of("meta")
        if a.get("http-equiv") == "Content-Security-Policy"
    )
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))

    def digest(tag):
        sha = hashlib.sha256(block(text, tag).encode()).digest()
        return f"'sha256-{base64.b64encode(sha).decode()}'"

    assert directives == {
        "default-src": "'none'",
        "style-src": digest("style"),
        "script-src": digest("script"),
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    # The policy binds only what comes after it.
    assert text.index("http-equiv") < text.index("<style>") < text.index("<script")


def test_the_page_loads_nothing(comparison, parse):
    text = render(comparison)
    names = {name for _, attributes in parse(text).elements for name in attributes}

    assert not names & {"src", "srcset", "style", "action", "formaction", "xlink:href", "data"}
    assert not [name for name in names if name.startswith("on")]
    assert all(a["href"].startswith("#") for a in parse(text).of("a"))
    assert not parse(text).of("link")
    assert not re.search(r"url\(|@import|https?:", block(text, "style") + block(text, "script"))


def test_no_tag_can_begin_or_end_in_inlined_data():
    hostile = {"a": "</script><!--<script>&amp;\u2028\u2029\u202e"}
    text = str(inlined(hostile))

    assert not set(text) & set("<>&\u2028\u2029\u202e")
    assert json.loads(text) == hostile


def numbers(value):
    """Every number of a comparison."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        return {found for part in value for found in numbers(part)}
    return {value} if isinstance(value, (int, float)) and not isinstance(value, bool) else set()


def test_no_number_is_on_the_page_that_is_not_in_the_comparison(comparison, parse):
    written = {
        part.lstrip("+\N{MINUS SIGN}")
        for tag, class_, text in parse(render(comparison)).texts
        if tag not in {"script", "style", "title", "desc"} and "tick" not in class_.split()
        for part in re.findall(r"[+\N{MINUS SIGN}]?\d+\.\d{3}\b", text)
    }
    known = {number(abs(value)) for value in numbers(comparison)}

    assert len(written) > 100
    assert written <= known


def test_ranks_and_costs_are_those_of_the_comparison(comparison, parse):
    page = parse(render(comparison))
    ranking = comparison["rankings"][0]
    bars = [text for tag, class_, text in page.texts if tag == "text" and class_ == "value"]

    assert all(f"{e['mean_rank']:.2f}" in page.inside("td") for e in ranking["defenses"])
    assert quantity(comparison["rows"][-1]["cost"]["seconds"]) in bars


def test_300_rows_are_below_a_megabyte_and_a_half(make):
    places = tuple((f"data-set-{i}", "minilm") for i in range(10))
    comparison = make(places=places)

    assert len(comparison["rows"]) == 300
    assert len(render(comparison).encode()) < 1_500_000
