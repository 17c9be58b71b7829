"""The page calls things what they are."""

from __future__ import annotations

import pytest

from bdbench.results.render.html.page import HtmlReporter
from bdbench.results.render.html.table import table


@pytest.fixture
def text(comparison):
    """The page of a comparison in which an attack harms its victims."""
    for row in comparison["rows"]:
        if row["attack"] == "lws":
            row["unranked_because"] = row["gate"]["reason"]
    return HtmlReporter(None).render(comparison)


def test_an_attack_that_harms_the_victim_is_not_said_to_have_failed(comparison, text):
    reason = comparison["rankings"][0]["left_out"][0]["reason"]

    assert f"<b>lws</b> is grey: {reason}." in text
    assert "lws<small>not ranked</small>" in text
    assert "did not take" not in text


def test_the_front_is_explained_as_it_is_computed(text):
    assert "as good in both the ASR and the change of clean accuracy and better in one" in text


@pytest.mark.parametrize(
    ("name", "extra"), [("asr", False), ("der", False), ("lfr", True), ("asr_change", True)]
)
def test_the_table_has_at_once_what_the_other_tables_for_people_have(comparison, name, extra):
    if name not in {column["name"] for column in comparison["columns"]}:
        comparison["columns"].append({**comparison["columns"][-1], "name": name})
        for row in comparison["rows"]:
            row["values"][name] = None
    columns = {column.key: column for column in table(comparison).columns}

    assert columns[name].extra is extra


def test_the_changes_stand_before_what_has_no_role(comparison):
    keys = [column.key for column in table(comparison).columns]

    assert keys.index("asr_floor") < keys.index("attack_change") < keys.index("der")
