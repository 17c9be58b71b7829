"""A plan is fair: what cells have in common is one stage, and only what decides is in a key."""

from __future__ import annotations

import json
import random
import types

import pytest

from bdbench.api import AttackSpec, DefenseSpec, hookimpl
from bdbench.host.catalog import Host
from bdbench.host.plugins import LoadedPlugin, discover
from bdbench.suite.load import load_suite
from bdbench.suite.plan import Wanted
from bdbench.suite.planning import build_plan
from bdbench.suite.resolve import resolve

PATCH, OTHER = {"toy-patch": {"poison_rate": 0.2}}, {"toy-patch": {"target": 0}, "name": "other"}
EVERYTHING = [
    "toy-mean",
    "toy-tune",
    "toy-base",
    "toy-clip",
    "toy-filter",
    ["toy-mean", "toy-clip"],
]


TOY = {
    "name": "toy",
    "seeds": [0],
    "datasets": ["toy-blobs"],
    "models": ["toy-linear"],
    "attacks": [{"toy-patch": {"poison_rate": 0.2}}],
    "defenses": ["toy-mean", "toy-tune", "toy-base", "toy-clip", "toy-filter"],
    "metrics": ["toy-rates"],
    "defender": {"clean_rows": 16, "references": ["control"], "training_data": True},
    "training": {"precision": "fp32"},
}


@pytest.fixture
def plan_toy(parse, toy_host):
    """The plan of the toy suite with some keys changed."""

    def plan_toy(selection=None, **changes):
        # JSON is YAML.
        suite = parse(json.dumps({**TOY, **changes}))
        return build_plan(resolve(suite, toy_host), selection)

    return plan_toy


def cell_of(plan, attack="toy-patch", defense="none", seed=0):
    (cell,) = (
        cell
        for cell in plan.cells
        if (cell.attack.label, cell.defense.label, cell.seed) == (attack, defense, seed)
    )
    return cell


def scores(plan):
    """The identity of every cell's result, by what it is called."""
    return {cell.label: cell.stages.get("scores") for cell in plan.cells}


def kinds(stages):
    return {stage.kind for stage in stages.values()}


# --- the matrix ---------------------------------------------------------------------------------


def test_every_defense_meets_every_attack_for_every_seed(plan_toy):
    plan = plan_toy(seeds=[0, 3], defenses=["toy-mean", "toy-clip"])

    found = [(cell.attack.label, cell.defense.label, cell.seed) for cell in plan.cells]
    assert sorted(found) == sorted(
        (attack, defense, seed)
        for attack in ("none", "toy-patch")
        for defense in ("none", "toy-mean", "toy-clip")
        for seed in (0, 3)
    )


def test_every_stage_comes_after_all_that_it_reads(plan_toy):
    plan = plan_toy(
        seeds=[0, 1],
        attacks=[PATCH, OTHER],
        defenses=EVERYTHING,
        defender={"clean_rows": 16, "references": ["other", "control"], "training_data": True},
    )

    seen = set()
    for key, stage in plan.stages.items():
        assert set(stage.reads()) <= seen
        assert stage.key == key
        seen.add(key)
    assert {key for cell in plan.cells for key in cell.stages.values()} <= seen


def test_a_plan_holds_nothing_that_no_cell_reads(plan_toy):
    plan = plan_toy(defenses=EVERYTHING)

    assert plan.missing(set()) == plan.stages


# --- one victim ---------------------------------------------------------------------------------


def test_every_defense_of_an_attack_is_given_the_same_victim(plan_toy):
    plan = plan_toy(seeds=[0, 1], attacks=[PATCH, OTHER], defenses=EVERYTHING)

    victims = {}
    for cell in plan.cells:
        victims.setdefault((cell.attack.label, cell.seed), set()).add(cell.stages["victim"])
    assert all(len(keys) == 1 for keys in victims.values())
    # And each attack and seed has a victim of its own.
    assert len(set().union(*victims.values())) == len(victims) == 6


def test_the_victims_of_one_seed_share_their_randomness(plan_toy):
    plan = plan_toy(attacks=[PATCH, OTHER])

    streams = {tuple(plan.stages[cell.stages["victim"]].settings["seeds"]) for cell in plan.cells}
    assert streams == {(0, "victim")}


def test_reference_models_are_the_same_for_all_and_have_randomness_of_their_own(plan_toy):
    plan = plan_toy(
        defenses=["toy-mean", ["toy-mean", "toy-clip"]], defender={"references": ["control"] * 2}
    )

    cells = [cell_of(plan, defense=label) for label in ("toy-mean", "toy-mean+toy-clip")]
    one, other = (plan.stages[cell.stages["treated"]].inputs["references"] for cell in cells)
    assert one == other
    assert len({*one, cells[0].stages["victim"], cell_of(plan, "none").stages["victim"]}) == 4
    assert [plan.stages[key].settings["seeds"][1:] for key in one] == [
        ["reference", "0"],
        ["reference", "1"],
    ]


def test_floor_and_control_are_there_for_every_attack(plan_toy):
    plan = plan_toy(attacks=[PATCH, OTHER])
    control = cell_of(plan, "none").stages["victim"]

    for cell in plan.cells:
        stage = plan.stages[cell.stages["scores"]]
        clean = plan.stages[stage.inputs["control_clean"]]
        assert clean.inputs["model"] == control
        assert "triggered" not in clean.inputs
        if cell.attack.is_control:
            assert "floor" not in stage.inputs
        else:
            floor = plan.stages[stage.inputs["floor"]]
            assert floor.inputs["model"] == control
            assert floor.inputs["triggered"] == cell.stages["poison"]
            assert floor.settings["screens"] == []


def test_a_cell_without_attack_has_no_poison(plan_toy):
    plan = plan_toy(defenses=EVERYTHING)

    for cell in plan.cells:
        if cell.attack.is_control:
            roles = {"poison", "predictions_triggered", "undefended_triggered", "floor"}
            assert not roles & set(cell.stages)
            reads = {key for role in cell.stages.values() for key in plan.stages[role].reads()}
            assert "poison" not in kinds({key: plan.stages[key] for key in reads})


def test_scores_read_what_the_victim_says_undefended(plan_toy):
    cell = cell_of(plan := plan_toy(defenses=EVERYTHING), defense="toy-mean+toy-clip")
    inputs = plan.stages[cell.stages["scores"]].inputs

    for role in ("undefended_clean", "undefended_triggered"):
        assert plan.stages[inputs[role]].inputs["model"] == cell.stages["victim"]
        assert plan.stages[inputs[role]].settings["screens"] == []
    assert inputs["undefended_clean"] == cell_of(plan).stages["predictions_clean"]


def test_no_stage_of_a_defense_reads_what_the_attacker_knows(plan_toy):
    plan = plan_toy(defenses=EVERYTHING)

    for stage in plan.stages.values():
        if stage.kind == "treated":
            assert "triggered" not in stage.inputs
            assert "attack" not in stage.settings


# --- what is in a key ---------------------------------------------------------------------------

ADDED = {
    "defense": {"defenses": [*TOY["defenses"], "toy-nan", ["toy-mean", "toy-clip"]]},
    "defense in front": {"defenses": ["toy-nan", *TOY["defenses"]]},
    "attack": {"attacks": [*TOY["attacks"], OTHER]},
    "attack in front": {"attacks": [OTHER, *TOY["attacks"]]},
    "seed": {"seeds": [5, 0]},
    "model": {"models": ["toy-linear", {"toy-linear": {"hidden": 4}, "name": "small"}]},
    "data set": {"datasets": ["toy-blobs", {"toy-blobs": {"rows": 9}, "name": "few"}]},
}


@pytest.mark.parametrize("change", ADDED.values(), ids=ADDED)
def test_adding_something_changes_no_result_that_is_there(plan_toy, change):
    before, after = scores(plan_toy()), scores(plan_toy(**change))

    assert len(after) > len(before)
    assert {label: after[label] for label in before} == before


def test_another_order_changes_no_result(plan_toy):
    backwards = plan_toy(defenses=TOY["defenses"][::-1], seeds=[1, 0])

    assert scores(backwards) == scores(plan_toy(seeds=[0, 1]))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"},
        {"summary": "words"},
        {"training": {**TOY["training"], "epochs": 2}},  # which is the default
        {"defender": {**TOY["defender"], "access": "weights"}},
        {"defender": {**TOY["defender"], "base_weights": True}},
    ],
)
def test_what_decides_nothing_is_in_no_key(plan_toy, change):
    assert scores(plan_toy(**change)) == scores(plan_toy())


def test_labels_are_in_no_key(plan_toy):
    named = plan_toy(
        datasets=[{"toy-blobs": {}, "name": "d"}],
        models=[{"toy-linear": {}, "name": "m"}],
        attacks=[{**PATCH, "name": "a"}],
        defenses=[{"toy-mean": {}, "name": "x"}],
        metrics=[{"toy-rates": {}, "name": "q"}],
    )
    plain = plan_toy(defenses=["toy-mean"])

    assert list(scores(named).values()) == list(scores(plain).values())
    assert set(named.stages) == set(plain.stages)


def test_full_names_and_short_names_give_the_same_keys(plan_toy):
    full = plan_toy(models=["bdbench-toy/toy-linear"], defenses=["bdbench-toy/toy-mean"])

    assert scores(full) == scores(plan_toy(defenses=["toy-mean"]))


def test_settings_written_out_and_defaults_give_the_same_keys(plan_toy):
    written = plan_toy(attacks=[{"toy-patch": {"poison_rate": 0.2, "coordinate": 0}}])

    assert scores(written) == scores(plan_toy())


CHANGED = {
    "attack": ({"attacks": [{"toy-patch": {"poison_rate": 0.3}}]}, {"toy-patch"}),
    "model": ({"models": [{"toy-linear": {"hidden": 4}}]}, {"none", "toy-patch"}),
    "data": ({"datasets": [{"toy-blobs": {"rows": 200}}]}, {"none", "toy-patch"}),
    "limit": ({"limit": 100}, {"none", "toy-patch"}),
    "recipe": ({"training": {"precision": "fp32", "epochs": 3}}, {"none", "toy-patch"}),
    "precision": ({"training": {"precision": "bf16"}}, {"none", "toy-patch"}),
}


@pytest.mark.parametrize(("change", "attacks"), CHANGED.values(), ids=CHANGED)
def test_a_change_of_what_decides_is_another_key(plan_toy, change, attacks):
    before, after = plan_toy(), plan_toy(**change)

    for cell in before.cells:
        same = cell_of(after, cell.attack.label, cell.defense.label).stages
        assert (same["victim"] != cell.stages["victim"]) == (cell.attack.label in attacks)
        assert (same["scores"] != cell.stages["scores"]) == (cell.attack.label in attacks)


def test_auto_precision_is_what_it_stands_for(plan_toy, monkeypatch):
    monkeypatch.setattr("bdbench.suite.resolve._precision", lambda _: "fp32")

    assert scores(plan_toy(training={"precision": "auto"})) == scores(plan_toy())


def test_a_setting_of_one_defense_changes_that_one_only(plan_toy):
    before = plan_toy()
    after = plan_toy(defenses=[{"toy-mean": {"strength": 2.0}}, *TOY["defenses"][1:]])

    changed = {
        cell.defense.label
        for cell in before.cells
        if scores(after)[cell.label] != cell.stages["scores"]
    }
    assert changed == {"toy-mean"}


def test_the_order_in_a_composition_decides(plan_toy):
    plan = plan_toy(defenses=[["toy-mean", "toy-tune"], ["toy-tune", "toy-mean"]])
    one, other = (
        cell_of(plan, defense="toy-mean+toy-tune"),
        cell_of(plan, defense="toy-tune+toy-mean"),
    )

    assert one.stages["treated"] != other.stages["treated"]


def test_another_metric_recomputes_scores_only(plan_toy, monkeypatch):
    before = plan_toy()
    stored = {key for key, stage in before.stages.items()}
    monkeypatch.setattr("bdbench.suite.resolve.code_digest", _other_code_of("toy-rates"))
    after = plan_toy()

    assert kinds(after.missing(stored)) == {"scores"}


def test_other_code_of_a_defense_recomputes_what_it_does_only(plan_toy, monkeypatch):
    stored = set(plan_toy().stages)
    monkeypatch.setattr("bdbench.suite.resolve.code_digest", _other_code_of("toy-mean"))
    missing = plan_toy().missing(stored)

    assert kinds(missing) == {"treated", "predictions", "scores"}
    assert all("toy-mean" in stage.label for stage in missing.values())


def _other_code_of(name):
    from bdbench.host.digest import code_digest

    def digest(component):
        return "other" if component.spec.name == name else code_digest(component)

    return digest


def test_the_number_of_clean_rows_counts_for_those_that_are_given_any(plan_toy):
    before = plan_toy()
    after = plan_toy(defender={**TOY["defender"], "clean_rows": 20})

    for cell in before.cells:
        same = scores(after)[cell.label] == cell.stages["scores"]
        assert same == (cell.defense.label != "toy-tune")


def test_the_reference_models_count_for_those_that_are_given_any(plan_toy):
    before = plan_toy()
    after = plan_toy(defender={**TOY["defender"], "references": ["control", "control"]})

    for cell in before.cells:
        same = scores(after)[cell.label] == cell.stages["scores"]
        assert same == (cell.defense.label != "toy-mean")


def test_a_screen_leaves_the_model_as_it_is(plan_toy):
    cell = cell_of(plan_toy(), defense="toy-clip")

    assert cell.stages["treated"] == cell.stages["victim"]


def test_filters_keep_keys(plan_toy):
    whole = plan_toy(seeds=[0, 1], attacks=[PATCH, OTHER])
    part = plan_toy(
        Wanted(attacks={"other"}, defenses={"toy-mean"}, seeds={1}),
        seeds=[0, 1],
        attacks=[PATCH, OTHER],
    )

    (cell,) = part.cells
    assert cell.stages == cell_of(whole, "other", "toy-mean", 1).stages
    assert set(part.stages) < set(whole.stages)


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Wanted(), 24),
        (Wanted(attacks={"none"}), 12),
        (Wanted(defenses={"none", "toy-clip"}), 8),
        (Wanted(seeds={1}), 12),
        (Wanted(datasets={"toy-blobs"}, models={"toy-linear"}), 24),
        (Wanted(datasets=set()), 0),
        (Wanted(models={"other"}), 0),
    ],
)
def test_filters_pick_cells(plan_toy, selection, count):
    assert len(plan_toy(selection, seeds=[0, 1]).cells) == count


# --- what cannot run ----------------------------------------------------------------------------

WITHHELD = {
    "references": ("toy-mean", {"references": []}, "defender.references"),
    "clean rows": ("toy-tune", {"clean_rows": 7}, "defender.clean_rows"),
    "base weights": ("toy-base", {"base_weights": False}, "defender.base_weights"),
    "training data": ("toy-filter", {"training_data": False}, "defender.training_data"),
    "access": ("toy-peek", {"access": "gradients"}, "defender.access"),
}


@pytest.mark.parametrize(("defense", "grant", "setting"), WITHHELD.values(), ids=WITHHELD)
def test_a_grant_that_is_withheld_makes_cells_incompatible_and_is_named(
    plan_toy, defense, grant, setting
):
    plan = plan_toy(defenses=[defense], defender={**TOY["defender"], **grant})

    for attack in ("none", "toy-patch"):
        assert cell_of(plan, attack).reason == ""
        cell = cell_of(plan, attack, defense)
        assert setting in cell.reason
        assert cell.stages == {}
        assert plan.status(cell, set()) == "incompatible"
    assert cell_of(plan_toy(defenses=[defense]), defense=defense).reason == ""


def test_exactly_what_is_needed_is_enough(plan_toy):
    plan = plan_toy(defenses=["toy-tune"], defender={"clean_rows": 8})

    assert cell_of(plan, defense="toy-tune").reason == ""


def test_a_composition_needs_what_its_parts_need(plan_toy):
    plan = plan_toy(defenses=[["toy-clip", "toy-tune"]], defender={"clean_rows": 0})

    assert "defender.clean_rows" in cell_of(plan, defense="toy-clip+toy-tune").reason


def test_other_is_the_first_attack_that_is_not_the_cells(plan_toy):
    plan = plan_toy(
        attacks=[PATCH, OTHER], defenses=["toy-mean"], defender={"references": ["other"]}
    )

    def poison_behind_the_reference(attack):
        treated = plan.stages[cell_of(plan, attack, "toy-mean").stages["treated"]]
        (reference,) = treated.inputs["references"]
        return plan.stages[reference].inputs["poison"]

    assert poison_behind_the_reference("toy-patch") == cell_of(plan, "other").stages["poison"]
    assert poison_behind_the_reference("other") == cell_of(plan).stages["poison"]
    assert poison_behind_the_reference("none") == cell_of(plan).stages["poison"]


def test_a_reference_attack_is_its_own_though_it_has_the_name_of_another(plan_toy):
    reference = {"toy-patch": {"target": 0}}
    plan = plan_toy(defenses=["toy-mean"], defender={"references": [reference]})

    treated = plan.stages[cell_of(plan, defense="toy-mean").stages["treated"]]
    (key,) = treated.inputs["references"]
    poison = plan.stages[plan.stages[key].inputs["poison"]]
    assert poison.settings["attack"]["config"]["target"] == 0
    assert poison.key != cell_of(plan).stages["poison"]


def test_other_is_nothing_where_there_is_no_other_attack(plan_toy):
    plan = plan_toy(defenses=["toy-mean"], defender={"references": ["other"]})

    assert "defender.references" in cell_of(plan, "toy-patch", "toy-mean").reason
    assert cell_of(plan, "none", "toy-mean").reason == ""


def test_components_for_another_task_are_incompatible(parse, toy_host):
    text = """
name: s
datasets: [sms-spam]
models: [tiny-bert]
attacks: [toy-patch]
defenses: [toy-clip]
metrics: [toy-rates]
"""
    plan = build_plan(resolve(parse(text), toy_host))

    assert cell_of(plan, "none").reason == ""
    for attack, defense, culprit in [
        ("toy-patch", "none", "toy-patch"),
        ("none", "toy-clip", "toy-clip"),
    ]:
        assert cell_of(plan, attack, defense).reason == (
            f"{culprit} works for vector-classification, sms-spam is text-classification"
        )


# --- what is missing ----------------------------------------------------------------------------


def test_nothing_is_missing_where_the_scores_are_there(plan_toy):
    plan = plan_toy()

    assert plan.missing({cell.stages["scores"] for cell in plan.cells}) == {}


def test_where_predictions_are_there_only_scores_are_missing(plan_toy):
    plan = plan_toy(defenses=["toy-mean", "toy-tune", "toy-clip"])
    stored = {key for key, stage in plan.stages.items() if stage.kind in {"data", "poison"}}
    stored |= {key for key, stage in plan.stages.items() if stage.kind == "predictions"}

    assert kinds(plan.missing(stored)) == {"scores"}


def test_an_unread_loss_is_not_made_up_for(plan_toy):
    plan = plan_toy()
    victims = {key for key, stage in plan.stages.items() if stage.kind == "victim"}

    assert plan.missing(set(plan.stages) - victims) == {}


def test_what_is_missing_reads_only_what_is_missing_too_or_stored(plan_toy):
    plan = plan_toy(seeds=[0, 1], defenses=EVERYTHING)
    rng = random.Random(0)
    for _ in range(30):
        stored = set(rng.sample(sorted(plan.stages), rng.randrange(len(plan.stages))))
        missing = plan.missing(stored)

        assert not set(missing) & stored
        for stage in missing.values():
            assert set(stage.reads()) <= stored | set(missing)
        # In an order in which they can be made.
        positions = {key: index for index, key in enumerate(missing)}
        for key, stage in missing.items():
            assert all(positions.get(read, -1) < positions[key] for read in stage.reads())


def test_cells_are_counted_by_status(plan_toy):
    plan = plan_toy(defenses=["toy-mean", "toy-base"], defender={"base_weights": False})
    stored = {cell_of(plan).stages["scores"]}

    assert plan.count_cells(stored) == {"cached": 1, "to run": 3, "incompatible": 2}


def test_the_first_failure_behind_a_cell_is_the_cause(plan_toy):
    plan = plan_toy()
    cell = cell_of(plan, defense="toy-mean")
    stages = cell.stages

    assert plan.first_failure(cell, set()) is None
    failed = {stages["treated"], stages["scores"]}
    assert plan.first_failure(cell, failed).key == stages["treated"]
    assert plan.first_failure(cell, {*failed, stages["poison"]}).kind == "poison"
    assert plan.first_failure(cell, {cell_of(plan, defense="toy-tune").stages["treated"]}) is None


# --- resolved suites ----------------------------------------------------------------------------


def test_a_resolved_suite_read_again_gives_the_same_keys(plan_toy, parse, toy_host):
    plan = plan_toy(
        defenses=EVERYTHING,
        attacks=[PATCH, OTHER],
        defender={**TOY["defender"], "references": ["control", "other", PATCH]},
    )
    again = build_plan(resolve(parse(json.dumps(plan.resolved.document())), toy_host))

    assert set(again.stages) == set(plan.stages)


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


def test_an_unknown_component_is_named_with_its_line(parse, toy_host):
    from bdbench.api import PluginError

    text = "name: s\ndatasets: [toy-blobs]\nmodels: [toy-linear]\nattacks: [toy-patch]\n"
    with pytest.raises(PluginError) as caught:
        resolve(parse(text + "defenses:\n  - none\n  - toy-maen\nmetrics: [toy-rates]\n"), toy_host)

    assert caught.value.where == "suite.yaml:7: defenses.1"
    assert caught.value.next == "write 'toy-mean'"


def test_a_wrong_setting_is_named_with_its_line(parse, toy_host):
    from bdbench.api import InputError

    text = "name: s\ndatasets: [toy-blobs]\nmodels: [toy-linear]\ndefenses: [none]\n"
    with pytest.raises(InputError) as caught:
        resolve(parse(text + "attacks:\n  - toy-patch: {poison_rat: 0.2}\n"), toy_host)

    assert caught.value.where == "suite.yaml:6: attacks.0.toy-patch.poison_rat"
    assert caught.value.next == "write 'poison_rate'"


def test_a_plugin_that_claims_none_takes_the_baselines_away_from_nobody(tmp_path):
    module = types.ModuleType("greedy")

    @hookimpl
    def bdbench_register_attacks():
        return [AttackSpec(name="none", target="greedy:Attack", summary="")]

    @hookimpl
    def bdbench_register_defenses():
        return [DefenseSpec(name="none", target="greedy:Defense", summary="")]

    module.bdbench_register_attacks = bdbench_register_attacks
    module.bdbench_register_defenses = bdbench_register_defenses
    greedy = LoadedPlugin("greedy", "1", "hooks", "greedy")
    wanted = {"bdbench:builtin", "bdbench:presets", "bdbench-toy:toy"}
    host = Host([*(item for item in discover() if item[0].id in wanted), (greedy, lambda: module)])
    path = tmp_path / "suite.yaml"
    path.write_text(
        "name: s\ndatasets: [toy-blobs]\nmodels: [toy-linear]\nattacks: [toy-patch]\n"
        "defenses: [toy-clip]\nmetrics: [toy-rates]\n",
        "utf-8",
    )

    plan = build_plan(resolve(load_suite(str(path), host), host))

    baselines = {cell.attack.component.full_name for cell in plan.cells if cell.attack.is_control}
    assert baselines == {"bdbench/none"}
    assert plan.cells[0].defense.parts[0].component.full_name == "bdbench/none"


# --- attacks on models --------------------------------------------------------------------------

SURFACES = ["toy-patch", "toy-published", "toy-trained", "toy-edited", "toy-learned"]


@pytest.fixture
def surfaces(plan_toy):
    """The plan of a suite with an attack on each surface."""
    return plan_toy(attacks=SURFACES, defenses=EVERYTHING, metrics=["toy-rates", "toy-shift"])


def test_a_victim_is_trained_by_whom_and_from_what_its_attack_says(surfaces):
    def read(attack, role):
        cell = cell_of(surfaces, attack, "none")
        return set(surfaces.stages[cell.stages[role]].inputs)

    assert read("none", "victim") == {"data"}
    assert read("toy-patch", "victim") == {"data", "poison"}
    assert read("toy-published", "victim") == {"data", "pretrained"}
    assert read("toy-trained", "victim") == {"data", "poison"}
    assert read("toy-edited", "victim") == {"data", "base", "victim"}
    assert read("toy-learned", "poison") == {"data", "base"}
    assert read("toy-patch", "poison") == {"data"}


def test_only_an_attacker_who_trains_is_named_to_the_training(surfaces):
    def attacker(attack):
        stage = surfaces.stages[cell_of(surfaces, attack, "none").stages["victim"]]
        return stage.settings.get("attack", {}).get("label")

    assert attacker("toy-trained") == "toy-trained"
    assert attacker("toy-patch") is attacker("toy-published") is attacker("none") is None


def test_a_victim_that_is_edited_was_trained_as_the_control_was(surfaces):
    edited = cell_of(surfaces, "toy-edited", "none").stages

    assert edited["trained"] == cell_of(surfaces, "none", "none").stages["victim"]
    assert surfaces.stages[edited["victim"]].kind == "edited"


def test_rows_are_triggered_where_they_are_poisoned_unless_the_victim_is_probed(surfaces):
    for attack in SURFACES:
        stages = cell_of(surfaces, attack, "none").stages
        probing = attack == "toy-published"
        assert surfaces.stages[stages["triggered"]].kind == ("triggered" if probing else "poison")
        # It poisons no data: there is nothing to be made in that stage.
        assert ("poison" in stages) != probing
        floor = surfaces.stages[stages["floor"]]
        assert floor.inputs["triggered"] == stages["triggered"]
        assert ("undefended_variants" in stages) == (attack == "toy-trained")


def test_metrics_of_attacks_are_measured_once_for_all_defenses(surfaces):
    cells = [cell for cell in surfaces.cells if cell.attack.label == "toy-patch"]

    (key,) = {cell.stages["attack_scores"] for cell in cells}
    assert surfaces.stages[key].settings["metrics"][0]["label"] == "toy-shift"
    for cell in cells:
        scores = surfaces.stages[cell.stages["scores"]]
        assert [part["label"] for part in scores.settings["metrics"]] == ["toy-rates"]
        assert scores.inputs["attack_scores"] == key
    assert "attack_scores" not in cell_of(surfaces, "none").stages


def test_a_filter_starts_where_the_victim_started(surfaces):
    treated = cell_of(surfaces, "toy-published", "toy-filter").stages["treated"]

    assert set(surfaces.stages[treated].inputs) == {"data", "victim", "pretrained"}


def test_screens_that_look_at_no_model_act_once_for_all_victims(plan_toy):
    plan = plan_toy(
        attacks=[PATCH, OTHER], defenses=["toy-clip", ["toy-mean", "toy-clip"], "toy-mean"]
    )
    keys = {}
    for cell in plan.cells:
        for role in ("screened_clean", "screened_triggered"):
            if role in cell.stages:
                keys.setdefault((role, cell.attack.label), set()).add(cell.stages[role])

    assert sorted(keys) == [
        ("screened_clean", "none"),
        ("screened_clean", "other"),
        ("screened_clean", "toy-patch"),
        ("screened_triggered", "other"),
        ("screened_triggered", "toy-patch"),
    ]
    assert all(len(found) == 1 for found in keys.values())
    assert (
        len({key for (role, _), found in keys.items() if role == "screened_clean" for key in found})
        == 1
    )
    triggered = {
        key for (role, _), found in keys.items() if role != "screened_clean" for key in found
    }
    assert len(triggered) == 2
