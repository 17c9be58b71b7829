"""What a real browser makes of the page. Skipped where no Chromium is installed."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from bdbench.results.render.html.page import HtmlReporter

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path")

ACT = "document.documentElement.setAttribute('data-acted','1')"
PAYLOADS = {
    "image": f'"><img src=x onerror="{ACT}">',
    "script": f"</script><script>{ACT}</script>",
    "svg": f"</title></desc></svg><svg onload={ACT}>",
    "dialog": "<script>alert(1)</script><dialog open>",
}


@pytest.fixture
def load(tmp_path, parse):
    """Opens a page at a fragment and returns what the document is in the end."""

    def run(text, fragment="", *, name="page.html"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        # Chromium refuses its own sandbox to root, as in most containers.
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [
            *(BROWSER, "--headless", *root, "--disable-gpu", "--disable-dev-shm-usage"),
            "--allow-file-access-from-files",
            *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000"),
            *("--dump-dom", f"{path.as_uri()}{fragment}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return parse(done.stdout)

    return run


def spoil(value, text):
    if isinstance(value, dict):
        return {name: spoil(part, text) for name, part in value.items()}
    if isinstance(value, list):
        return [spoil(part, text) for part in value]
    return value + text if isinstance(value, str) else value


def rows(page):
    return [a for a in page.of("tr") if "data-row" in a]


def order(page):
    return [int(a["data-row"]) for a in rows(page)]


def test_the_script_of_the_page_runs(load, comparison):
    page = load(HtmlReporter(None).render(comparison))

    assert page.of("html")[0]["class"] == "js"
    assert order(page) == list(range(30))
    assert {a.get("aria-sort") for a in page.of("th") if "data-key" in a} == {"none"}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_hostile_names_do_nothing(load, comparison, payload):
    comparison = spoil(comparison, payload) | {"roles": comparison["roles"]}
    comparison["columns"] = [
        {**column, "name": plain}
        for column, plain in zip(
            comparison["columns"], ("clean_accuracy", "asr", "asr_floor", "der"), strict=True
        )
    ]
    page = load(HtmlReporter(None).render(comparison))

    assert "data-acted" not in page.of("html")[0]
    assert page.of("html")[0]["class"] == "js"
    assert not [tag for tag, _ in page.elements if tag in {"img", "dialog", "iframe"}]
    assert len(page.of("script")) == 2


@pytest.mark.parametrize("payload", [f"<script>{ACT}</script>", f"<img src=x onerror={ACT}>"])
def test_the_policy_stops_what_would_slip_through(load, comparison, payload):
    text = HtmlReporter(None).render(comparison).replace("</h1>", f"</h1>{payload}")
    assert "data-acted" not in load(text).of("html")[0]

    # Without the policy it acts: the test can fail.
    bare = text.replace("Content-Security-Policy", "X-None")
    assert "data-acted" in load(bare).of("html")[0]


@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_the_table_sorts_by_number(load, comparison, direction):
    page = load(HtmlReporter(None).render(comparison), f"#sort=asr&dir={direction}")
    values = [row["values"]["asr"] for row in comparison["rows"]]
    means = [values[i]["mean"] if values[i] else None for i in order(page)]
    known = [mean for mean in means if mean is not None]

    assert known == sorted(known, reverse=direction == "descending")
    assert means[: len(known)] == known
    heads = {a["data-key"]: a.get("aria-sort") for a in page.of("th") if "data-key" in a}
    assert heads["asr"] == direction
    assert {sort for key, sort in heads.items() if key != "asr"} == {"none"}


def test_the_table_sorts_by_name(load, comparison):
    page = load(HtmlReporter(None).render(comparison), "#sort=defense&dir=ascending")
    names = [comparison["rows"][i]["defense"] for i in order(page)]

    assert names == sorted(names)


def test_an_unknown_column_sorts_nothing(load, comparison):
    page = load(HtmlReporter(None).render(comparison), "#sort=constructor&dir=ascending")

    assert order(page) == list(range(30))


def test_the_table_filters(load, comparison):
    page = load(HtmlReporter(None).render(comparison), "#find=merge+sos&ranked=1")
    shown = [int(a["data-row"]) for a in rows(page) if "hidden" not in a]

    assert [(comparison["rows"][i]["attack"], comparison["rows"][i]["defense"]) for i in shown] == [
        ("sos", "merge")
    ]
    assert page.inside("output") == ["1 of 30 rows"]


def test_every_head_is_a_button_for_the_keyboard(load, comparison):
    page = load(HtmlReporter(None).render(comparison))
    heads = [a for a in page.of("th") if "data-key" in a]
    buttons = [a for a in page.of("button") if a.get("class") != "copy"]

    assert len(buttons) == len(heads)
    assert {a["type"] for a in buttons} == {"button"}


FRAME = """<!doctype html><iframe src="page.html" style="width:{width}px;height:900px"></iframe>
<script>document.querySelector("iframe").onload = (event) => {{
  const page = event.target.contentDocument.documentElement;
  document.documentElement.setAttribute("data-over", page.scrollWidth - page.clientWidth);
}}</script>"""


def lengthen(value, labels):
    """The comparison with these labels so long that no line holds them, and without a gap."""
    if isinstance(value, dict):
        return {name: lengthen(part, labels) for name, part in value.items()}
    if isinstance(value, list):
        return [lengthen(part, labels) for part in value]
    return value + "x" * 80 if isinstance(value, str) and value in labels else value


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("long", [False, True])
def test_only_tables_scroll_sideways(load, comparison, tmp_path, width, long):
    labels = {row[key] for row in comparison["rows"] for key in ("dataset", "attack", "defense")}
    comparison = lengthen(comparison, labels if long else ())
    (tmp_path / "page.html").write_text(HtmlReporter(None).render(comparison), "utf-8")
    page = load(FRAME.format(width=width), name="frame.html")

    assert page.of("html")[0]["data-over"] == "0"
