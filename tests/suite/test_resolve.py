"""From names and settings to components: what is written down, and what names the culprit."""

from __future__ import annotations

import json
import types
from dataclasses import replace

import pytest

from bdbench.api import (
    Access,
    AttackSpec,
    DefenseConfig,
    DefenseSpec,
    DefenseStage,
    InputError,
    Needs,
    PluginError,
    Surface,
    hookimpl,
)
from bdbench.host.catalog import Host
from bdbench.host.plugins import LoadedPlugin, discover
from bdbench.suite.load import load_suite
from bdbench.suite.planning import build_plan
from bdbench.suite.resolve import needs_of, resolve


def test_a_resolved_suite_read_again_gives_the_same_keys(
    plan_toy, two_attacks, every_defense, toy, parse, toy_host
):
    plan = plan_toy(
        defenses=every_defense,
        attacks=two_attacks,
        defender={**toy["defender"], "references": ["control", "other", *toy["attacks"]]},
    )
    again = build_plan(resolve(parse(json.dumps(plan.resolved.document())), toy_host))

    assert set(again.stages) == set(plan.stages)


def test_metrics_that_give_the_same_value_are_refused(resolve_toy):
    with pytest.raises(InputError, match="of toy-rates and of again") as caught:
        resolve_toy(metrics=["toy-rates", {"toy-rates": {}, "name": "again"}])

    assert caught.value.next == "take again out"


def test_the_order_of_defenses_counts_only_where_they_act_at_the_same_stage(resolve_toy):
    repair, other, screen = "toy-mean", "toy-tune", "toy-clip"
    twice = [[repair, screen], [screen, repair]]
    with pytest.raises(InputError, match="the same thing under different names") as caught:
        resolve_toy(defenses=twice)
    assert caught.value.found == "toy-mean+toy-clip and toy-clip+toy-mean"

    resolved = resolve_toy(defenses=[[repair, other], [other, repair]])
    assert len(resolved.defenses) == 3  # the baseline comes by itself


def test_settings_cannot_need_less_than_a_stage_hands_out(resolve_toy):
    class Modest(DefenseConfig):
        def needs(self, declared):
            return Needs()

    parts = [defense.parts[0] for defense in resolve_toy().defenses]
    of = {part.label: replace(part, config=Modest()) for part in parts}
    assert needs_of([of["toy-tune"]]) == Needs(access=Access.WEIGHTS)
    assert needs_of([of["toy-filter"]]) == Needs(training_data=True)
    assert needs_of([of["toy-clip"]]) == Needs()


def test_the_baseline_is_no_part_of_a_composition(resolve_toy):
    with pytest.raises(InputError, match=r"does nothing\. Found none") as caught:
        resolve_toy(defenses=["toy-mean", ["none", "toy-mean"]])

    assert caught.value.where == "defenses: none+toy-mean"


def test_relative_paths_start_at_the_suites_folder(parse, toy_host, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for name in ("train", "test"):
        (tmp_path / "data" / f"{name}.csv").write_text("text,label\na,0\n", "utf-8")
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    text = """
name: s
datasets: [files: {train: data/train.csv, test: data/test.csv}]
models: [tiny-bert]
attacks: [none]
defenses: [none]
metrics: [toy-rates]
"""

    (part,) = resolve(parse(text), toy_host).datasets

    assert part.document["config"]["train"] == str(tmp_path / "data" / "train.csv")


def test_a_path_that_leads_nowhere_is_told_where_relative_ones_start(
    parse, toy_host, tmp_path, monkeypatch
):
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    gone = ["datasets=[files: {train: gone.csv, test: gone.csv}]", "attacks=[none]"]
    text = HEAD + "attacks: [none]\ndefenses: [none]\n"
    (tmp_path / "suite.yaml").write_text(text, "utf-8")

    # A preset has no folder of the user's.
    for name, start in ((tmp_path / "suite.yaml", tmp_path), ("quickstart", tmp_path / "away")):
        with pytest.raises(InputError) as caught:
            resolve(load_suite(str(name), toy_host, gone), toy_host)
        assert caught.value.where.endswith(f"files.train: {start / 'gone.csv'}")
        assert caught.value.next == (
            "correct the path; relative ones start at the suite's folder, those of a preset at "
            "the current one"
        )


HEAD = "name: s\ndatasets: [toy-blobs]\nmodels: [toy-linear]\n"


def test_an_unknown_component_is_named_with_its_line(parse, toy_host):
    text = HEAD + "attacks: [toy-patch]\ndefenses:\n  - none\n  - toy-maen\n"
    with pytest.raises(PluginError) as caught:
        resolve(parse(text + "metrics: [toy-rates]\n"), toy_host)

    assert caught.value.where == "suite.yaml:7: defenses.1"
    assert caught.value.next == "write 'toy-mean'"


def test_a_wrong_setting_is_named_with_its_line(parse, toy_host):
    text = HEAD + "defenses: [none]\nattacks:\n  - toy-patch: {poison_rat: 0.2}\n"
    with pytest.raises(InputError) as caught:
        resolve(parse(text), toy_host)

    assert caught.value.where == "suite.yaml:6: attacks.0.toy-patch.poison_rat"
    assert caught.value.next == "write 'poison_rate'"


def test_a_plugin_that_claims_none_takes_the_baselines_away_from_nobody(tmp_path):
    module = types.ModuleType("greedy")

    @hookimpl
    def bdbench_register_attacks():
        surfaces = frozenset({Surface.DATA})
        return [AttackSpec(name="none", target="greedy:Attack", summary="", surfaces=surfaces)]

    @hookimpl
    def bdbench_register_defenses():
        stages = frozenset({DefenseStage.SCREEN})
        return [DefenseSpec(name="none", target="greedy:Defense", summary="", stages=stages)]

    module.bdbench_register_attacks = bdbench_register_attacks
    module.bdbench_register_defenses = bdbench_register_defenses
    greedy = LoadedPlugin("greedy", "1", "hooks", "greedy")
    wanted = {"bdbench:builtin", "bdbench:executors", "bdbench:presets", "bdbench-toy:toy"}
    host = Host([*(item for item in discover() if item[0].id in wanted), (greedy, lambda: module)])
    path = tmp_path / "suite.yaml"
    text = HEAD + "attacks: [toy-patch]\ndefenses: [toy-clip]\nmetrics: [toy-rates]\n"
    path.write_text(text, "utf-8")

    plan = build_plan(resolve(load_suite(str(path), host), host))

    assert [plugin.state.value for plugin in host.plugins if plugin.id == greedy.id] == ["conflict"]
    baselines = {cell.attack.component.full_name for cell in plan.cells if cell.attack.is_control}
    assert baselines == {"bdbench/none"}
    assert plan.cells[0].defense.parts[0].component.full_name == "bdbench/none"
