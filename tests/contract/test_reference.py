"""docs/plugins/reference.md and testing.md are what the contract says of itself today.

If the contract changed on purpose, write the pages anew with

    python docs/plugins/make_reference.py
"""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import pytest

from bdbench import api, testing
from bdbench.api import deprecated, hooks

DOCS = Path(__file__).parents[2] / "docs" / "plugins"
HOOKS = [name for name in vars(hooks) if name.startswith("bdbench_")]


PAGES = ("reference.md", "testing.md")


@pytest.fixture(scope="module")
def pages():
    """What writes the pages, by their names."""
    return runpy.run_path(str(DOCS / "make_reference.py"))["PAGES"]


@pytest.fixture(scope="module")
def generated(pages):
    return pages["reference.md"]()


@pytest.fixture(scope="module")
def sections(generated):
    """What stands under each name, by name."""
    parts = re.split(r"^#{2,4} (?:`(.+)`|.+)$", generated, flags=re.MULTILINE)
    return {name: text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_contract_says(pages, name):
    assert set(pages) == set(PAGES)
    written, generated = (DOCS / name).read_text("utf-8"), pages[name]()
    for was, now in zip(written.splitlines(), generated.splitlines(), strict=False):
        assert was == now, __doc__
    assert written == generated, __doc__


@pytest.mark.parametrize("name", testing.__all__)
def test_everything_public_for_tests_is_on_its_page(name):
    page = (DOCS / "testing.md").read_text("utf-8")
    assert f"\n### `{name}`\n" in page or (name == "CHECKS" and "`CHECKS` has all checks" in page)


def test_every_check_and_fixture_is_on_the_page_for_tests():
    page = (DOCS / "testing.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", page, re.MULTILINE)
    assert rows == list(testing.CHECKS)
    for fixture in ("bdbench_host", "fake_dist", "run_cli", "tiny_world"):
        assert f"- `{fixture}`: " in page


@pytest.mark.parametrize("name", [*HOOKS, *api.__all__])
def test_everything_public_is_on_it(sections, name):
    assert sections[name].strip()


def test_nothing_else_is_on_it(sections):
    """Names without a dot; hooks and what marks them come from `bdbench.api.hooks`."""
    names = {name for name in sections if "." not in name}
    assert names <= {*HOOKS, "hookimpl", *api.__all__, *deprecated.__all__}


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_stands_there_with_exactly_its_arguments(sections, name):
    arguments = ", ".join(inspect.signature(getattr(hooks, name)).parameters)
    assert re.sub(r": \w+", "", sections[name]).startswith(f"\n\n```python\n{name}({arguments})")


@pytest.mark.parametrize("name", api.__all__)
def test_every_public_method_and_field_is_on_it(sections, name):
    found = getattr(api, name)
    if not inspect.isclass(found):
        return
    for member, value in vars(found).items():
        documented = inspect.isfunction(value) or isinstance(value, property)
        if documented and not member.startswith("_"):
            assert f"{name}.{member}" in sections
    own = inspect.get_annotations(found)
    if hasattr(found, "__dataclass_fields__") or hasattr(found, "model_fields"):
        for field in (field for field in own if not field.startswith("_") and field != "kind"):
            assert f"- `{field}`: `" in sections[name], field


def test_links_lead_somewhere(generated):
    titles = re.findall(r"^## (.+)$", generated, re.MULTILINE)
    anchors = {title.lower().replace(" ", "-") for title in titles}
    assert set(re.findall(r"\(#([\w-]+)\)", generated)) == anchors
