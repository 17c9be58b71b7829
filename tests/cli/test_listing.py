"""list, show and plugins: what is installed, and what can be set."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bdbench.cli.listing import KINDS


def test_list_shows_every_component_under_its_kind(bdbench):
    lines = bdbench("list").out.splitlines()

    heads = [line for line in lines if line and not line.startswith(" ")]
    assert heads == [f"{kind}s" for kind in KINDS]
    (mean,) = (line for line in lines if line.split()[:1] == ["toy-mean"])
    assert lines.index("defenses") < lines.index(mean) < lines.index("metrics")
    assert mean.endswith("Toy defense toy-mean.  [bdbench-toy]")
    # The host's own need no mention of the host.
    assert not any("[bdbench]" in line for line in lines)


def test_list_can_be_limited_to_a_kind(bdbench):
    found = json.loads(bdbench("list", "--kind", "defense", "--json").out)

    assert {item["kind"] for item in found} == {"defense"}
    (tune,) = (item for item in found if item["name"] == "toy-tune")
    assert tune == {
        "kind": "defense",
        "name": "toy-tune",
        "full_name": "bdbench-toy/toy-tune",
        "version": "0.1",
        "summary": "Toy defense toy-tune.",
        "tasks": ["vector-classification"],
        "needs": "weights, 8+ clean rows",
    }


SHOWN = {
    "attack": (
        "toy-patch",
        ["surfaces: data", "poison_rate (number > 0 and < 1, default 0.1)", "Share of all"],
    ),
    "defense": ("toy-mean", ["stages: repair", "needs: weights, 1+ reference models"]),
    "metric": ("toy-rates", ["clean_accuracy (higher is better): Accuracy."]),
    "model": ("toy-linear", ["hidden (whole number >= 1, default 16)", "Width."]),
    "dataset": ("sms-spam", ["tasks: text-classification", "citation:", "@inproceedings"]),
    "suite": ("quickstart", ["name: quickstart", "defender:"]),
    "reporter": ("csv", ["One line per row"]),
    "executor": ("local", ["workers (whole number >= 1 or null, default null)"]),
}


@pytest.mark.parametrize(("name", "texts"), SHOWN.values(), ids=SHOWN)
def test_show_explains_a_component_of_every_kind(bdbench, name, texts):
    done = bdbench("show", name)

    assert done.code == 0
    for text in texts:
        assert text in done.out


def test_every_kind_of_component_is_shown_by_a_test():
    assert set(SHOWN) == set(KINDS)


def test_show_takes_a_full_name(bdbench):
    assert bdbench("show", "bdbench-toy/toy-mean").out == bdbench("show", "toy-mean").out


def test_a_name_of_several_kinds_is_shown_for_all_or_for_one(bdbench):
    def shown(*options):
        lines = bdbench("show", "none", *options).out.splitlines()
        return [line.split()[:2] for line in lines if not line.startswith(" ")]

    assert shown() == [["attack", "bdbench/none"], ["defense", "bdbench/none"]]
    assert shown("--kind", "attack") == [["attack", "bdbench/none"]]


def test_show_as_json_lists_all_that_have_the_name(bdbench):
    found = json.loads(bdbench("show", "none", "--json").out)

    assert [item["kind"] for item in found] == ["attack", "defense"]


def test_show_as_json_has_the_schema_of_the_settings(bdbench):
    (found,) = json.loads(bdbench("show", "toy-patch", "--json").out)

    assert found["full_name"] == "bdbench-toy/toy-patch"
    assert found["config_schema"]["properties"]["coordinate"]["minimum"] == 0
    assert found["api"] == "1.0"


def test_an_unknown_name_is_suggested(bdbench):
    done = bdbench("show", "toy-maen")

    assert done.code == 4
    assert "Next: write 'toy-mean'." in done.err


@pytest.mark.parametrize("name", ["foo", "zzz"])
def test_a_name_that_is_no_plugins_is_said_to_be_of_no_kind_and_likened_to_nothing(bdbench, name):
    done = bdbench("show", name)

    assert done.code == 4
    assert "there is no component of this name" in done.err
    assert "Next: see `bdbench list`." in done.err


def test_what_begins_as_was_written_is_what_was_meant(bdbench):
    assert "Next: write 'sms-core' or 'sms-spam'." in bdbench("show", "sms").err
    # Of one kind, if that is said.
    assert "Next: write 'sms-spam'." in bdbench("show", "sms", "--kind", "dataset").err
    assert "a dataset named 'sms'" in bdbench("show", "sms", "--kind", "dataset").err


def test_a_name_that_resembles_nothing_leads_to_the_list(bdbench):
    done = bdbench("show", "qqqqqq")

    assert done.code == 4
    assert "bdbench list" in done.err
    # Not of one kind alone.
    assert "attack" in done.err
    assert "defense" in done.err
    assert "toy-patch" not in done.err


def test_an_unknown_kind_is_told_the_kinds(bdbench):
    done = bdbench("show", "none", "--kind", "weapon")

    assert done.code == 4
    assert "attack" in done.err


CHOICES = """
from pathlib import Path
from typing import Literal
from pydantic import Field
from bdbench.api import ComponentConfig

class ChoosyConfig(ComponentConfig):
    amount: Literal["auto"] | float = Field(default="auto", description="How much.")
    source: Literal["unigram"] | Path = Field(default="unigram", description="Where from.")
    file: Path | None = Field(default=None, description="A file.")
"""
CHOOSY = """
from bdbench.api import Direction, MetricSpec, MetricValue, hookimpl

@hookimpl
def bdbench_register_metrics():
    values = (MetricValue(name="length", direction=Direction.NONE, summary="Of it."),)
    return [MetricSpec(name="choosy", target="bdbench_choosy.code:Choosy", summary="Chooses.",
                       config="bdbench_choosy.config:ChoosyConfig", values=values)]
"""


def test_show_says_what_may_be_written_and_which_way_is_better_if_any(bdbench, fake_dist):
    fake_dist("bdbench-choosy", CHOOSY, modules={"config": CHOICES})

    done = bdbench("show", "choosy")

    assert done.code == 0, done.err
    lines = [line.strip() for line in done.out.splitlines()]
    assert "length (neither way is better): Of it." in lines
    assert 'amount (auto or number, default "auto")' in lines
    assert 'source (unigram or path, default "unigram")' in lines
    assert "file (path or null, default null)" in lines


def test_needs_are_those_of_the_defaults(bdbench, monkeypatch):
    from bdbench_toy.config import ToyDefenseConfig

    def needs(self, declared):
        return dataclasses.replace(declared, clean_rows=32)

    monkeypatch.setattr(ToyDefenseConfig, "needs", needs)

    assert "needs: weights, 32+ clean rows" in bdbench("show", "toy-tune").out


def test_keys_that_may_be_left_out_as_a_whole_are_explained_too(bdbench):
    lines = bdbench("show", "--suite-keys").out.splitlines()

    at = next(at for at, line in enumerate(lines) if line.strip() == "tuning (default null)")
    rest = "\n".join(lines[at:])
    for key in ("trials (whole number >= 2, required)", "on (", "tolerance (number >= 0 and < 1"):
        assert key in rest


def test_the_keys_of_a_suite_are_explained(bdbench):
    text = bdbench("show", "--suite-keys").out

    for key in ("name (", "seeds (", "datasets (", "defender", "clean_rows (", "learning_rate ("):
        assert key in text
    assert 'precision (auto | bf16 | fp32, default "auto")' in text


def test_plugins_shows_state_reason_and_what_each_brings(bdbench, monkeypatch):
    monkeypatch.setenv("BDBENCH_DISABLE_PLUGINS", "bdbench-toy")
    lines = bdbench("plugins").out.splitlines()

    (toy,) = (line for line in lines if " bdbench-toy " in line)
    assert toy.startswith("disabled ")
    assert "named in BDBENCH_DISABLE_PLUGINS or --no-plugin" in toy
    (builtin,) = (line for line in lines if "builtin:" in line)
    assert builtin.startswith("ok ")
    assert "sms-spam" in builtin


def test_plugins_as_json_has_what_each_brings(bdbench):
    found = json.loads(bdbench("plugins", "--json").out)

    (toy,) = (item for item in found if item["distribution"] == "bdbench-toy")
    assert toy["state"] == "ok"
    assert toy["reason"] == ""
    assert (toy["version"], toy["entry_point"], toy["module"]) == (
        "0.1",
        "toy",
        "bdbench_toy.hooks",
    )
    assert {"kind": "attack", "name": "toy-patch"} in toy["provides"]


HOSTILE = "\x1b]0;title\x07\u202e"
HOSTILE_HOOKS = f"""
from bdbench.api import DefenseSpec, DefenseStage, SuiteSpec, hookimpl

TEXT = {HOSTILE!r}

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(name="evil", target="bdbench_evil.code:Evil", summary=TEXT,
                        tasks=frozenset({{TEXT}}), citation="one" + TEXT + "\\ntwo",
                        config="bdbench_evil.config:EvilConfig",
                        stages=frozenset({{DefenseStage.SCREEN}}))]

@hookimpl
def bdbench_register_suites():
    return [SuiteSpec(name="evil-suite", target="bdbench_evil:suite.yaml", summary=TEXT)]
"""
HOSTILE_CONFIG = f"""
from typing import Literal
from pydantic import Field
from bdbench.api import ComponentConfig

class EvilConfig(ComponentConfig):
    text: str = Field({HOSTILE!r}, description="one" + {HOSTILE!r} + "\\ntwo")
    choice: Literal[{HOSTILE!r}] = {HOSTILE!r}
"""


@pytest.mark.parametrize("name", ["evil", "evil-suite"])
def test_what_a_plugin_says_of_itself_acts_on_no_terminal(bdbench, fake_dist, name):
    package = fake_dist("bdbench-evil", HOSTILE_HOOKS, modules={"config": HOSTILE_CONFIG})
    (package / "suite.yaml").write_text(f"name: {HOSTILE}\nseeds: [0]\n", "utf-8")

    done = bdbench("show", name)

    assert done.code == 0
    assert not set(HOSTILE[:1] + HOSTILE[-2:]) & set(done.out)
    # Line by line, as it was written.
    lines = [line.strip() for line in done.out.splitlines()]
    assert ("seeds: [0]" if name == "evil-suite" else "two") in lines
