"""What one run of the whole pipeline leaves, on a task without text: vectors in, classes out."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bdbench.api import PluginError
from bdbench.execution.sandbox.kinds import available

SUITE = Path(__file__).parents[1] / "toy" / "suite.yaml"
DEFENSES = {"none", "toy-mean", "toy-tune", "toy-base", "toy-clip", "toy-filter"} | {
    "toy-mean+toy-clip"
}


def test_every_cell_succeeds(records):
    assert len(records) == 2 * 2 * len(DEFENSES)
    assert {record["status"] for record in records} == {"success"}
    assert {record["defense_label"] for record in records} == DEFENSES


def test_the_attack_took_and_the_defenses_differ(records, of):
    undefended = of(records, "toy-patch", "none")["metrics"]
    assert undefended["asr"] > 0.9
    assert undefended["asr_floor"] < 0.1
    assert undefended["clean_accuracy"] > 0.9
    for defense in ("toy-mean", "toy-filter"):
        assert of(records, "toy-patch", defense)["metrics"]["asr"] < 0.5


def test_the_control_has_no_asr(records, of):
    assert of(records, "none", "none")["metrics"]["asr"] is None


def test_every_defense_of_an_attack_gets_the_same_victim(records, of):
    for attack in ("none", "toy-patch"):
        for seed in (0, 1):
            keys = {of(records, attack, item, seed)["stages"]["victim"] for item in DEFENSES}
            assert len(keys) == 1


def test_the_clean_rows_are_in_neither_split_and_the_same_for_all(toy_run, records, of):
    home, _ = toy_run
    record = of(records, "toy-patch", "toy-tune")
    assert record["notes"]["treated"]["toy-tune"]["clean_rows"] == 16
    key = record["stages"]["data"]
    folder = home / "store" / "objects" / key[:2] / key / "files"
    rows = {name: rows_of(folder / f"{name}.parquet") for name in ("train", "test", "clean")}
    assert rows["clean"] & rows["train"] == set()
    assert rows["clean"] & rows["test"] == set()


def rows_of(path):
    column = pq.read_table(path).column("input.vector").combine_chunks()
    return {row.tobytes() for row in column.to_numpy_ndarray()}


def test_a_screen_that_rejects_nothing_leaves_scores(toy_run, records, of):
    home, _ = toy_run
    key = of(records, "toy-patch", "toy-clip")["stages"]["predictions_triggered"]
    table = pq.read_table(home / "store/objects" / key[:2] / key / "files/predictions.parquet")
    assert min(table.column("score").to_pylist()) > 8
    assert not any(table.column("rejected").to_pylist())


def test_costs_are_measured_for_all(records, of):
    record = of(records, "toy-patch", "toy-tune")
    assert record["costs"]["victim"]["gradient_steps"] == 8 * 15
    assert record["costs"]["treated"]["gradient_steps"] == 3 * 2
    assert record["costs"]["predictions_clean"]["forward_rows"] == 80
    assert record["costs"]["treated"]["clean_rows_drawn"] == 16
    assert record["costs"]["treated"]["reference_models"] == 0
    merged = of(records, "toy-patch", "toy-mean")["costs"]["treated"]
    assert (merged["clean_rows_drawn"], merged["reference_models"]) == (0, 2)
    assert "treated" not in of(records, "toy-patch", "none")["costs"]


@pytest.fixture(scope="module")
def costs_of(bdbench, toy_run, tmp_path_factory, of):
    """What a defense on the attacked victim cost, in a run of its own with the same victims."""
    home, _ = toy_run
    suite = tmp_path_factory.mktemp("suites") / "costly.yaml"
    listed = "toy-clip, toy-filter, [toy-mean, toy-clip]"
    text = SUITE.read_text("utf-8").replace(listed, "toy-hire, toy-ask")
    suite.write_text(text.replace("name: toy\n", "name: costly\n"), "utf-8")
    result = bdbench("run", suite, "--home", home, "--seeds", "0", "--display", "none", check=0)
    newest = max(home.glob("runs/*-costly-*/records.jsonl"))
    records = [json.loads(line) for line in newest.read_text("utf-8").split("\n") if line]
    return lambda defense: (of(records, "toy-patch", defense)["costs"], result.stdout)


def test_what_a_component_has_others_do_is_its_cost(costs_of):
    costs, _ = costs_of("toy-hire")
    assert costs["treated"]["cpu_seconds"] >= 1


def test_a_screen_that_asks_the_model_pays_for_it_and_not_for_the_hosts_predictions(costs_of):
    costs, _ = costs_of("toy-ask")
    asked = costs["screening_clean"]
    assert asked["forward_rows"] == 3 * 80
    assert costs["predictions_clean"]["forward_rows"] == 4 * 80
    assert costs["screening_triggered"]["forward_rows"] == 3 * 40
    assert 0 < asked["wall_seconds"] < costs["predictions_clean"]["wall_seconds"]


def test_records_say_what_took_part(records, of):
    record = of(records, "toy-patch", "toy-mean")
    assert record["attack"]["component"] == "bdbench-toy/toy-patch"
    assert record["attack"]["config"]["poison_rate"] == 0.2
    assert len(record["attack"]["code"]) == 64
    assert record["environment"]["torch"]
    assert record["isolation"] == available().strongest
    assert [part["component"] for part in record["measured_by"]] == ["bdbench-toy/toy-rates"]
    granted = [part["component"] for part in record["references"]]
    assert granted == ["bdbench/none"] * 2
    assert of(records, "toy-patch", "toy-tune")["references"] == []


def test_a_run_says_what_code_it_rests_on(toy_run):
    home, _ = toy_run
    (path,) = home.glob("runs/*-toy-*/run.json")
    lock = json.loads(path.read_text("utf-8"))["lock"]
    assert {"torch", "transformers"} < lock["packages"].keys()
    assert [plugin["distribution"] for plugin in lock["plugins"]] == ["bdbench-toy"]
    assert len(lock["host"]["code"]) == 64
    assert "bdbench-toy/toy-rates" in {item["component"] for item in lock["components"]}


def test_what_cannot_be_locked_is_told_before_anything_is_computed(
    bdbench_here, tmp_path, monkeypatch
):
    def make_lock(*_):
        raise PluginError("it is not installed as a distribution", where="bdbench")

    monkeypatch.setattr("bdbench.execution.run.make_lock", make_lock)
    code, _, error = bdbench_here("run", SUITE, "--home", tmp_path, "--executor", "inline")
    assert code == 4
    assert "not installed as a distribution" in error
    assert not list(tmp_path.glob("store/objects/*/*"))
