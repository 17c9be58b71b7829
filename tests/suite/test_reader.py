"""The YAML of a suite means what it looks like, and cannot hurt."""

from __future__ import annotations

import pytest

from bdbench.api import InputError
from bdbench.suite.reader import MAX_BYTES, parse_value, read_document


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "suite.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_document(path, source="suite.yaml")

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.5e-4", 1.5e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("3.", 3.0),
        ("-0.25", -0.25),
        ("+7", 7),
        ("007", 7),
        ("0", 0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_numbers_and_constants_are_what_they_look_like(text, value):
    found = parse_value(text, "here")

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "yes", "on", "off", "y", "n", "No", "True", "NULL", "Null"),
        *("0x10", "0b1", "1_000", "12:30:45", "2024-01-01", ".inf", ".nan", "nan", "inf", "1e"),
        "<<",
    ],
)
def test_what_other_yaml_makes_something_else_of_stays_text(text):
    assert parse_value(text, "here") == text


@pytest.mark.parametrize("text", ['"1"', "'1'", '"1e-4"', "'true'", "'null'", "''", '"~"', "'no'"])
def test_quoted_text_stays_text(text):
    assert parse_value(text, "here") == text[1:-1]


def test_block_text_stays_text(read):
    assert read("a: |-\n  12\nb: >-\n  true\n").data == {"a": "12", "b": "true"}


def test_keys_are_text(read):
    assert read("1: a\nno: b\n? c\n: d\n").data == {"1": "a", "no": "b", "c": "d"}


def test_lists_and_mappings_nest(read):
    assert read("a: [1, {b: [x, 2.5]}]\nc:\n  - d: e\n").data == {
        "a": [1, {"b": ["x", 2.5]}],
        "c": [{"d": "e"}],
    }


def test_an_empty_file_holds_nothing(read):
    assert read("").data is None
    assert read("# only words\n").data is None


# --- what is refused ----------------------------------------------------------------------------

REFUSED = {
    "alias": ("a: &x [1]\nb: *x\n", 2, "aliases"),
    "merge through an alias": ("a: &x {p: 1}\nb:\n  <<: *x\n", 3, "aliases"),
    "repeated key": ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands twice"),
    "repeated nested key": ("a:\n  b: 1\n  b: 1\n", 3, "the key 'b' stands twice"),
    "key quoted and bare": ("a: 1\n'a': 3\n", 2, "the key 'a' stands twice"),
    "own tag": ("a: 1\nb: !thing 2\n", 2, "tag"),
    "python tag": ("a: !!python/object/apply:os.system ['true']\n", 1, "tag"),
    "number tag": ("a: 1\nb: !!int '3'\n", 2, "tag"),
    "text tag": ("b: !!str 5\n", 1, "tag"),
    "binary tag": ("b: !!binary aGk=\n", 1, "tag"),
    "tag of a list": ("a:\n  !!set [x]\n", 2, "tag"),
    "list as key": ("[a, b]: 1\n", 1, "a key must be a word"),
    "mapping as key": ("a: 1\n? {b: c}\n: 1\n", 2, "a key must be a word"),
    "unclosed list": ("a: 1\nb: [1, 2\n", 3, "expected"),
    "tab as indent": ("a:\n\tb: 1\n", 2, "cannot start any token"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "another document"),
    "too large a number": ("a: 1\nb: 1e999\n", 2, "number"),
    "too long a number": ("a: " + "9" * 5000, 1, "number"),
}


@pytest.mark.parametrize(("text", "line", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_plain_is_refused_with_its_line(read, text, line, words):
    with pytest.raises(InputError) as caught:
        read(text)

    assert caught.value.where == f"suite.yaml:{line}"
    assert words in caught.value.found


def test_a_bomb_does_not_go_off(read):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]

    # Spelled out it would have 9 to the power of 12 words: no machine would get here.
    with pytest.raises(InputError):
        read("\n".join(lines))


@pytest.mark.parametrize("depth", [400, 100_000])
def test_deep_nesting_is_refused(read, depth):
    with pytest.raises(InputError) as caught:
        read("[" * depth + "]" * depth)

    assert "recursion" in caught.value.found


def test_what_is_not_utf8_is_refused(read):
    with pytest.raises(InputError) as caught:
        read("name: Über".encode("latin-1"))

    assert (caught.value.where, caught.value.expected) == ("suite.yaml", "UTF-8")


def test_control_characters_are_refused(read):
    with pytest.raises(InputError):
        read("a: \x1b[31mred\n")


def test_too_large_a_file_is_refused(read):
    assert read(b"#" * MAX_BYTES).data is None
    with pytest.raises(InputError) as caught:
        read(b"#" * (MAX_BYTES + 1))
    assert caught.value.found == f"{MAX_BYTES + 1} bytes"


@pytest.mark.parametrize("name", ["gone.yaml", "."])
def test_what_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(InputError) as caught:
        read_document(tmp_path / name, source="suite.yaml")

    assert caught.value.where == "suite.yaml"
    assert caught.value.next == "see `bdbench list --kind suite` for the presets"


# --- places -------------------------------------------------------------------------------------


def test_every_place_knows_its_line(read):
    document = read("name: a\nattacks:\n  - badnets:\n      rate: 1\n  - none\n")

    assert document.where(()) == "suite.yaml:1"
    assert document.where(("name",)) == "suite.yaml:1: name"
    assert document.where(("attacks",)) == "suite.yaml:2: attacks"
    assert document.where(("attacks", 0)) == "suite.yaml:3: attacks.0"
    assert document.where(("attacks", 0, "badnets", "rate")) == (
        "suite.yaml:4: attacks.0.badnets.rate"
    )
    assert document.where(("attacks", 1)) == "suite.yaml:5: attacks.1"


def test_a_place_that_is_not_there_has_the_line_of_what_is_around_it(read):
    document = read("name: a\ndefender:\n  clean_rows: 1\n")

    assert document.where(("defender", "missing", 3)) == "suite.yaml:2: defender.missing.3"
    assert document.where(("nothing",)) == "suite.yaml:1: nothing"
