"""Suites by name and by path, with overrides from the command line."""

from __future__ import annotations

import pytest

from bdbench.api import InputError, PluginError
from bdbench.suite.load import load_suite

TEXT = """\
name: s
seeds: [0, 1]
datasets: [d]
models: [m]
attacks:
  - none
  - badnets: {rate: 0.1, words: [cf, mn]}
  - badnets: {rate: 0.1}
    name: second
  - bare
  - empty:
defenses:
  - x
  - [y, z: {rho: 0.3}]
"""


@pytest.fixture
def load(tmp_path, toy_host):
    def load(*overrides, text=TEXT):
        path = tmp_path / "suite.yaml"
        path.write_text(text, "utf-8")
        return load_suite(str(path), toy_host, overrides)

    return load


def config(suite, label):
    return dict(next(entry.config for entry in suite.attacks if entry.label == label))


# --- where suites come from ---------------------------------------------------------------------


def test_a_preset_is_found_by_name_and_its_paths_are_the_users(toy_host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    suite = load_suite("quickstart", toy_host)

    assert suite.name == "quickstart"
    assert suite.document.folder == tmp_path


def test_a_preset_is_found_by_its_full_name_too(toy_host):
    assert load_suite("bdbench/quickstart", toy_host).name == "quickstart"


def test_the_paths_of_a_file_start_at_its_folder(load, tmp_path):
    assert load().document.folder == tmp_path


@pytest.mark.parametrize("name", ["gone.yaml", "gone.yml", "./gone"])
def test_a_path_is_never_taken_for_a_preset(toy_host, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load_suite(name, toy_host)
    assert caught.value.what == "the suite cannot be read"


def test_a_preset_that_nobody_brings_is_refused_with_a_suggestion(toy_host):
    with pytest.raises(PluginError) as caught:
        load_suite("quikstart", toy_host)
    assert caught.value.next == "write 'quickstart'"


# --- overrides ----------------------------------------------------------------------------------


def test_a_key_is_replaced_or_added(load):
    suite = load("training.epochs=5", "seeds=[3, 4]", "limit=20", "defender.access=outputs")

    assert suite.training.epochs == 5
    assert suite.seeds == (3, 4)
    assert suite.limit == 20
    assert suite.defender.access == "outputs"


def test_values_follow_the_rules_of_the_file(load):
    suite = load("training.learning_rate=1e-4", 'summary="no"', "limit=")

    assert suite.training.learning_rate == 1e-4
    assert suite.summary == "no"
    assert suite.limit is None


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ("badnets", "badnets"),
        ("1", "badnets"),
        ("second", "second"),
        ("bare", "bare"),
        ("empty", "empty"),
    ],
)
def test_an_entry_of_a_list_is_named_by_label_or_position(load, place, label):
    before = load()
    after = load(f"attacks.{place}.rate=0.4")

    assert config(after, label)["rate"] == 0.4
    assert [entry.label for entry in after.attacks] == [entry.label for entry in before.attacks]
    for entry in before.attacks:
        if entry.label != label:
            assert config(after, entry.label) == dict(entry.config)


LABELLED = """
name: s
datasets: [d]
models: ["hf:google-bert/bert-base-uncased@0a1b"]
attacks: [bdbench-attack-insertion/badnets]
defenses:
  - merge
  - {merge: {rho: 0.5}, name: merge-0.5}
  - {merge: {rho: 0.6}, name: merge-0}
  - [x, merge]
"""


def test_an_entry_has_the_name_that_tables_use(load):
    suite = load(
        "models.bert-base-uncased.max_length=32",
        "attacks.badnets.target=1",
        "defenses.merge-0.5.rho=0.7",
        "defenses.x+merge.merge.rho=0.9",
        text=LABELLED,
    )

    assert suite.models[0].label == "bert-base-uncased"
    assert suite.models[0].config["max_length"] == 32
    assert config(suite, "badnets") == {"target": 1}
    defenses = {label: [dict(part.config) for part in parts] for label, parts in suite.defenses}
    assert defenses["merge-0.5"] == [{"rho": 0.7}]
    assert defenses["merge-0"] == [{"rho": 0.6}]
    assert defenses["merge"] == [{}]
    assert defenses["x+merge"] == [{}, {"rho": 0.9}]


def test_a_name_that_nothing_has_is_told_which_there_are(load):
    with pytest.raises(InputError) as caught:
        load("models.bert.max_length=32", text=LABELLED)

    assert caught.value.expected == "a position, or one of bert-base-uncased"


def test_other_settings_of_the_entry_stay(load):
    assert config(load("attacks.badnets.rate=0.4"), "badnets")["words"] == ["cf", "mn"]


def test_nested_settings_and_positions_are_reached(load):
    suite = load("attacks.badnets.words.1=bb", "attacks.second.deep.er=1", "seeds.0=7")

    assert config(suite, "badnets")["words"] == ["cf", "bb"]
    assert config(suite, "second") == {"rate": 0.1, "deep": {"er": 1}}
    assert suite.seeds == (7, 1)


def test_a_part_of_a_composition_is_reached_by_position(load):
    _, parts = load("defenses.1.z.rho=0.5").defenses[2]

    assert [dict(part.config) for part in parts] == [{}, {"rho": 0.5}]


def test_later_overrides_win(load):
    assert load("limit=5", "limit=9").limit == 9


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("training.epochs", "an override does not fit"),
        ("=3", "an override does not fit"),
        ("", "an override does not fit"),
        ("attacks.gone.rate=1", "an override names something that the suite does not have"),
        ("attacks.9.rate=1", "an override names something that the suite does not have"),
        ("attacks.-1.rate=1", "an override names something that the suite does not have"),
        ("attacks.².rate=1", "an override names something that the suite does not have"),
        ("seeds.0.x=1", "an override names something that the suite does not have"),
        ("name.x=1", "an override names something that the suite does not have"),
        ("attacks.bare=1", "an override names an entry, not a setting of it"),
        ("attacks.second=1", "an override names an entry, not a setting of it"),
        ("training.epochs=[1", "this is not the YAML that bdbench reads"),
        ("training.epochs=!!int 1", "this is not the YAML that bdbench reads"),
        ("training.epoch=1", "unknown key 'epoch'"),
        ("training.epochs=two", "a setting does not fit"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(load, override, what):
    with pytest.raises(InputError) as caught:
        load(override)

    assert caught.value.what == what


@pytest.mark.parametrize("text", ["", "3", "[1, 2]", "attacks: [{name: a}]"])
def test_an_override_of_what_is_no_suite_is_refused(load, text):
    with pytest.raises(InputError):
        load("attacks.a.x=1", text=text)


def test_the_message_names_the_override(load):
    with pytest.raises(InputError) as caught:
        load("attacks.gone.rate=1")

    assert caught.value.where == "--set attacks.gone.rate=1"
    assert caught.value.found == "'gone'"
