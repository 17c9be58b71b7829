"""What a suite may say, and what it is told when it says something else."""

from __future__ import annotations

import pytest

from bdbench.api import InputError

HEAD = "name: s\ndatasets: [d]\nmodels: [m]\n"
FULL = HEAD + "attacks: [a]\ndefenses: [x]\n"


@pytest.fixture
def refused(parse):
    def refused(text):
        with pytest.raises(InputError) as caught:
            parse(text)
        return caught.value

    return refused


def labels(entries):
    return [entry.label for entry in entries]


# --- keys and values ----------------------------------------------------------------------------


def test_a_suite_needs_few_keys_and_has_defaults_for_the_rest(parse):
    suite = parse(FULL)

    assert (suite.name, suite.seeds, suite.limit) == ("s", (0,), None)
    assert labels(suite.metrics) == ["classification"]
    assert suite.references == ("control", "other")
    assert suite.defender.clean_rows == 64
    assert suite.training.epochs == 2
    assert (suite.gates.asr_over_floor, suite.gates.accuracy_under_control) == (0.5, 0.05)


def test_something_has_to_be_measured(refused):
    error = refused(FULL + "metrics: []\n")

    assert error.where == "suite.yaml:6: metrics"


def test_gates_can_be_set_apart(parse):
    suite = parse(FULL + "gates: {asr_over_floor: 0.2}\n")

    assert (suite.gates.asr_over_floor, suite.gates.accuracy_under_control) == (0.2, 0.05)


def test_an_unknown_key_is_refused_with_line_and_suggestion(refused):
    error = refused(FULL + "defence: [x]\n")

    assert error.where == "suite.yaml:6: defence"
    assert error.what == "unknown key 'defence'"
    assert error.next in {"write 'defenses'", "write 'defender'"}


def test_an_unknown_nested_key_is_refused_with_line_and_suggestion(refused):
    error = refused(FULL + "training:\n  epochs: 3\n  lerning_rate: 1e-4\n")

    assert error.where == "suite.yaml:8: training.lerning_rate"
    assert error.next == "write 'learning_rate'"


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("seeds: 0", "seeds"),
        ("gates: {asr_over_floor: 1.5}", "gates.asr_over_floor"),
        ("seeds: []", "seeds"),
        ("seeds: [0, 0]", "seeds"),
        ("seeds: [-1]", "seeds"),
        ("seeds: [0, 1.5]", "seeds.1"),
        ("seeds: [true]", "seeds.0"),
        ("limit: 1", "limit"),
        ("limit: 1e3", "limit"),
        ("training: {epochs: 0}", "training.epochs"),
        ("training: {epochs: '2'}", "training.epochs"),
        ("training: {precision: fp8}", "training.precision"),
        ("defender: {clean_rows: -1}", "defender.clean_rows"),
        ("defender: {base_weights: yes}", "defender.base_weights"),
        ("defender: {access: all}", "defender.access"),
        ("defender: [1]", "defender"),
        ("metrics: classification", "metrics"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_line(refused, line, place):
    error = refused(FULL + line + "\n")

    assert error.where == f"suite.yaml:6: {place}"
    assert error.next == "see `bdbench show --suite-keys`"


@pytest.mark.parametrize("key", ["name", "datasets", "models", "attacks", "defenses"])
def test_a_key_that_must_be_there_is_asked_for(refused, key):
    lines = [line for line in FULL.splitlines() if not line.startswith(key)]
    error = refused("\n".join(lines))

    assert error.where == f"suite.yaml:1: {key}"
    assert error.found == "nothing"


@pytest.mark.parametrize("key", ["datasets", "models", "attacks", "defenses"])
def test_a_list_that_must_name_something_may_not_be_empty(refused, key):
    lines = [f"{key}: []" if line.startswith(key) else line for line in FULL.splitlines()]

    assert refused("\n".join(lines)).where.endswith(f": {key}")


@pytest.mark.parametrize("name", ["''", "Upper", "a b", "../up", "a/b", "-a", "x" * 65, "'a\n'"])
def test_a_name_that_no_folder_could_bear_is_refused(refused, name):
    assert refused(FULL.replace("name: s", f"name: {name}")).where == "suite.yaml:1: name"


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n", "3\n"])
def test_what_is_not_a_mapping_is_no_suite(refused, text):
    error = refused(text)

    assert error.what == "a suite is a mapping"
    # Of which there is one wherever bdbench is.
    assert error.next == "`bdbench show quickstart` prints one"


@pytest.mark.parametrize("key", ["²", "a.b", "a.0", "١"])  # noqa: RUF001 -- odd digits
def test_odd_keys_are_unknown_keys(refused, key):
    assert refused(FULL + f"'{key}': 1\n").what == f"unknown key {key!r}"


def test_nesting_that_no_setting_has_is_refused(refused):
    assert refused(FULL + "attacks: [a: " + "[" * 250 + "]" * 250 + "]")
    assert refused(HEAD + "defenses: [x]\nattacks: [a: " + "[" * 250 + "]" * 250 + "]")


# --- entries ------------------------------------------------------------------------------------


def test_an_entry_is_a_name_or_a_name_with_settings(parse):
    suite = parse(HEAD + "attacks: [none, a, b: {rate: 0.1}, c: , {d: {e: 1}, name: f}]\n"
                  "defenses: [x]\n")  # fmt: skip

    assert [(entry.label, entry.component, dict(entry.config)) for entry in suite.attacks] == [
        ("none", "none", {}),
        ("a", "a", {}),
        ("b", "b", {"rate": 0.1}),
        ("c", "c", {}),
        ("f", "d", {"e": 1}),
    ]


def test_an_entry_knows_its_line(parse):
    suite = parse(HEAD + "defenses: [x]\nattacks:\n  - none\n  - a:\n      rate: 1\n")

    assert [entry.where for entry in suite.attacks] == [
        "suite.yaml:6: attacks.0",
        "suite.yaml:7: attacks.1",
    ]


@pytest.mark.parametrize(
    "entry",
    [
        "3",
        "null",
        "[a]",
        "{}",
        "{name: a}",
        "{a: {}, b: {}}",
        "{a: 3}",
        "{a: [1]}",
        "{a: text}",
        "{a: {}, name: 3}",
        "{a: {}, name: null, b: {}}",
    ],
)
def test_an_entry_of_another_form_is_refused(refused, entry):
    error = refused(HEAD + f"defenses: [x]\nattacks:\n  - none\n  - {entry}\n")

    assert error.what == "an entry does not fit"
    assert error.where == "suite.yaml:7: attacks.1"
    assert "`bdbench show quickstart`" in error.next


@pytest.mark.parametrize(
    ("text", "label"),
    [("bdbench-attack-x/badnets", "badnets"), ("badnets", "badnets")],
)
def test_the_label_of_a_full_name_is_the_short_one(parse, text, label):
    assert parse(HEAD + f"attacks: [{text}]\ndefenses: [x]\n").attacks[1].label == label


@pytest.mark.parametrize("key", ["datasets", "models", "attacks", "defenses", "metrics"])
def test_two_entries_of_one_name_are_refused_with_the_line_to_add(refused, key):
    lines = [line for line in (FULL + "metrics: [q]").splitlines() if not line.startswith(key)]
    error = refused("\n".join([*lines, f"{key}: [a: {{r: 1}}, a: {{r: 2}}]"]))

    assert error.where == f"suite.yaml:6: {key}"
    assert (error.found, error.next) == ("a", "add `name: a-2` beside one of them")


def test_twins_within_a_composition_are_refused(refused):
    error = refused(HEAD + "attacks: [a]\ndefenses:\n  - [x: {r: 1}, x: {r: 2}]\n")

    assert error.what == "two entries bear the same name"
    assert (error.where, error.found) == ("suite.yaml:6: defenses.0", "x")


def test_a_name_of_its_own_keeps_twins_apart(parse):
    suite = parse(HEAD + "defenses: [x]\nattacks:\n  - a: {r: 1}\n  - a: {r: 2}\n    name: a-2\n")

    assert labels(suite.attacks) == ["none", "a", "a-2"]


# --- baselines ----------------------------------------------------------------------------------


def test_the_control_and_the_undefended_victim_are_always_there(parse):
    suite = parse(FULL)

    assert labels(suite.attacks) == ["none", "a"]
    assert [label for label, _ in suite.defenses] == ["none", "x"]


@pytest.mark.parametrize("written", ["none", "bdbench/none", "none: {}", "{none: {}, name: base}"])
def test_baselines_that_are_named_are_not_added_again(parse, written):
    suite = parse(HEAD + f"attacks: [a, {written}]\ndefenses: [x, {written}]\n")

    assert len(suite.attacks) == len(suite.defenses) == 2


def test_a_composition_that_starts_with_none_is_not_the_baseline(parse):
    suite = parse(HEAD + "attacks: [a]\ndefenses: [[none, x]]\n")

    assert [label for label, _ in suite.defenses] == ["none", "none+x"]


# --- compositions -------------------------------------------------------------------------------


def test_a_list_among_the_defenses_is_a_composition_in_its_order(parse):
    suite = parse(HEAD + "attacks: [a]\ndefenses:\n  - [y, x: {rho: 0.3}]\n  - x\n")

    label, parts = suite.defenses[1]
    assert label == "y+x"
    assert [(part.component, dict(part.config)) for part in parts] == [
        ("y", {}),
        ("x", {"rho": 0.3}),
    ]
    assert parts[1].where == "suite.yaml:6: defenses.0.1"


@pytest.mark.parametrize("item", ["[]", "[[x]]", "[x, 3]"])
def test_a_composition_of_something_else_is_refused(refused, item):
    error = refused(HEAD + f"attacks: [a]\ndefenses: [{item}]\n")

    assert error.what == "an entry does not fit"


def test_a_list_is_a_composition_among_defenses_only(refused):
    assert refused(HEAD + "attacks: [[a, b]]\ndefenses: [x]\n").what == "an entry does not fit"


# --- short forms --------------------------------------------------------------------------------


def test_a_hub_name_with_a_revision_is_short_for_the_hub_component(parse):
    suite = parse(FULL.replace("[m]", "['hf:org/bert@0123abc', {'hf:o/b@1': {max_length: 9}}]"))

    one, two = suite.models
    assert (one.label, one.component) == ("bert", "bdbench/hub")
    assert dict(one.config) == {"name": "org/bert", "revision": "0123abc"}
    assert dict(two.config) == {"name": "o/b", "revision": "1", "max_length": 9}


@pytest.mark.parametrize("text", ["hf:org/bert", "hf:org/bert@"])
def test_a_hub_name_without_a_revision_is_told_the_line_to_write(refused, text):
    error = refused(FULL.replace("[m]", f"['{text}']"))

    assert error.where == "suite.yaml:3: models.0"
    assert error.found == text
    assert "`- hf:org/bert@<commit>`" in error.next


@pytest.mark.parametrize(
    ("text", "label"), [("./models/mine", "mine"), ("/a/b/", "b"), ("~/m", "m"), ("../up", "up")]
)
def test_a_path_is_short_for_the_folder_component(parse, text, label):
    (entry,) = parse(FULL.replace("[m]", f"['{text}']")).models

    assert (entry.label, entry.component) == (label, "bdbench/folder")
    assert dict(entry.config) == {"path": text.rstrip("/")}


# --- references ---------------------------------------------------------------------------------


def test_references_are_words_or_attacks(parse):
    suite = parse(FULL + "defender:\n  references: [control, other, badnets: {target: 0}]\n")

    assert suite.references[:2] == ("control", "other")
    assert suite.references[2].component == "badnets"
    assert suite.references[2].where == "suite.yaml:7: defender.references.2"
