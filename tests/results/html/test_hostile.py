"""Nothing in a name, a reason, a text or a setting acts on the page or on its reader's eyes."""

from __future__ import annotations

import re
import unicodedata

import pytest

from bdbench.results.render.html.page import HtmlReporter

HOSTILE = {
    "attribute": '"><img src=x onerror=alert(1)>',
    "quote": "' onmouseover='alert(1)",
    "script": "</script><script>alert(1)</script>",
    "style": "</style><style>*{display:none}</style>",
    "title": "</title></svg><iframe src=//x></iframe>",
    "comment": "<!--",
    "template": "{{7*7}}{% raw %}${7*7}",
    "right to left": "abc\u202egnp.exe",
    "isolate": "a\u2066b",
    "zero width": "a\u200bb",
    "escape": "\x1b[31mred\x1b[0m\x9b31m",
    "bell and null": "a\x07b\x00c",
    "line separators": "a\u2028b\u2029c",
    "newlines": "a\nb\r\nc",
    "link": "javascript:alert(1)",
    "entity": "&lt;b&gt;&#x202e;",
    "wide": "名前" * 20,
    "long": "x" * 400,
}
SOMETIMES = frozenset({"tspan", "del"})
"""Elements that the page has only for names too long for a line, and for words taken away."""
CODED = frozenset({"schema", "direction"})
"""Words of the schema itself, which no plugin writes."""
KEYED = frozenset({"values", "cost", "config", "training", "environment", "before", "after"})
"""Objects whose keys are foreign text."""


def spoil(value, text, key=""):
    """The comparison with this text at the end of every string, and of every foreign key."""
    if isinstance(value, dict):
        ending = text if key in KEYED else ""
        return {f"{name}{ending}": spoil(part, text, name) for name, part in value.items()}
    if isinstance(value, list):
        return [spoil(part, text, key) for part in value]
    return value + text if isinstance(value, str) and key not in CODED else value


PLACES = (("sst2", "minilm"), ("ag-news", "minilm"))


@pytest.fixture(scope="module")
def clean(make, parse):
    """The page of the same comparison without anything hostile."""
    return parse(HtmlReporter(None).render(make(places=PLACES)))


@pytest.fixture(scope="module", params=HOSTILE.values(), ids=HOSTILE)
def text(request, make):
    """A page full of one hostile text."""
    return HtmlReporter(None).render(spoil(make(places=PLACES), request.param))


def names(page):
    return {name for _, attributes in page.elements for name in attributes}


def test_no_element_and_no_attribute_appears(text, clean, parse):
    page = parse(text)

    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in clean.elements} | SOMETIMES
    assert names(page) <= names(clean)
    assert len(page.of("script")) == 2
    assert len(page.of("style")) == 1
    # What the page links to, styles or names is ours: no foreign text is part of it.
    for _, attributes in page.elements:
        assert re.fullmatch(r"[\w -]*", attributes.get("class") or "")
        assert re.fullmatch(r"[\w-]*", attributes.get("id", ""))
        assert re.fullmatch(r"(#[\w-]+)?", attributes.get("href", ""))
        assert re.fullmatch(r"[a-z0-9_]*", attributes.get("data-key", ""))


def test_no_character_hides_text_or_turns_it_round(text):
    assert not {char for char in text if unicodedata.category(char)[0] == "C"} - {"\n"}


def test_no_reference_stands_for_such_a_character(text, parse):
    page = parse(text)
    texts = [text for _, _, text in page.texts]
    texts += [value or "" for _, attributes in page.elements for value in attributes.values()]

    assert not {c for text in texts for c in text if unicodedata.category(c)[0] == "C"} - {"\n"}


def test_what_cannot_act_is_read_as_it_is(make, parse):
    text = HOSTILE["attribute"] + HOSTILE["template"]
    page = parse(HtmlReporter(None).render(spoil(make(), text)))

    assert page.inside("h1") == [f"sst2-core{text}"]
    assert any(cell == f"badnets{text}" for cell in page.inside("td"))


def test_citations_keep_their_lines(make, parse):
    page = parse(HtmlReporter(None).render(make()))

    assert page.inside("pre")[0].count("\n") == 3


def test_the_test_can_fail(make, clean, parse):
    """A page that forgot to escape would be seen."""
    text = HtmlReporter(None).render(make())
    torn = parse(text.replace("<h1>", f"<h1>{HOSTILE['attribute']}", 1))

    assert {tag for tag, _ in torn.elements} - {tag for tag, _ in clean.elements} == {"img"}
    assert names(torn) - names(clean) == {"src", "onerror"}
