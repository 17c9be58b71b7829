from __future__ import annotations

import math
import posixpath
import re

from hypothesis import given
from hypothesis import strategies as st

from bdbench.tracking.names import (
    by_safe_name,
    cut_lines,
    cut_text,
    finite,
    flatten,
    one_line,
    safe_name,
)

ANY_TEXT = st.text(st.characters(), max_size=300) | st.text("./_- :a", max_size=300)


@given(ANY_TEXT)
def test_safe_names_are_what_mlflow_accepts(name):
    safe = safe_name(name)
    assert re.fullmatch(r"[\w.\- :/]+", safe)
    assert len(safe) <= 200
    assert posixpath.normpath(safe) == safe
    assert not safe.startswith(("/", ".."))
    assert safe != "."


@given(st.lists(ANY_TEXT, unique=True, max_size=8))
def test_no_value_is_lost_where_names_fall_together(names):
    assert sorted(by_safe_name((name, name) for name in names).values()) == sorted(names)


def test_plain_names_stay():
    for name in ("clean_accuracy", "cost/victim/wall_seconds", "asr@0.1".replace("@", ":")):
        assert safe_name(name) == name


@given(st.text(st.characters(), max_size=1000))
def test_values_are_bounded_storable_and_say_that_they_were_cut(text):
    value = cut_text(text)
    value.encode("utf-8")
    assert "\x00" not in value
    assert len(value) <= 500
    assert (f"[cut: {len(text)} characters]" in value) == (len(text) > 500)


def test_nested_settings_become_dotted_names():
    settings = {"a": {"b": 1, "c": []}, "d": "x", "e": None, "f": True, "g": [1, "two"], "h": ""}
    assert dict(flatten("attack", settings)) == {
        "attack.a.b": "1",
        "attack.a.c": "[]",
        "attack.d": "x",
        "attack.e": "null",
        "attack.f": "true",
        "attack.g": '[1, "two"]',
        "attack.h": '""',
    }


def test_only_finite_numbers_are_numbers():
    assert finite(0.5) == 0.5
    assert finite(3) == 3.0
    for value in (math.nan, math.inf, -math.inf, True, None, "1", 10**400):
        assert finite(value) is None


def test_labels_stay_on_one_line():
    assert one_line("a\nb\t c") == "a b c"
    assert one_line("x" * 100) == "x" * 79 + "…"
    assert "\u202e" not in one_line("abc\u202edef")


def test_tables_are_cut_after_a_whole_row():
    table = "".join(f"| row {number} | 0.5 |\n" for number in range(100))
    cut = cut_lines(table, 300, "(cut)")
    assert len(cut) <= 300
    assert cut.endswith("| 0.5 |\n\n(cut)")
    assert cut_lines("short", 300, "(cut)") == "short"
    assert cut_lines("x" * 400, 300, "(cut)").startswith("xxx")
