"""Rows are means over the seeds that succeeded; failures are counted, not averaged away."""

from __future__ import annotations

import json

import pytest

from bdbench.results.comparison import compare
from bdbench.suite.load import load_suite
from bdbench.suite.resolve import resolve

SUITE = """
name: toy
seeds: [0, 1]
datasets: [toy-blobs]
models: [toy-linear]
attacks: [toy-patch]
defenses: [toy-mean]
metrics: [toy-rates]
"""


@pytest.fixture
def compare_toy(tmp_path, toy_host):
    def compare_toy(records, text=SUITE):
        path = tmp_path / "suite.yaml"
        path.write_text(text, "utf-8")
        return compare(records, resolve(load_suite(str(path), toy_host), toy_host), "run-1")

    return compare_toy


def test_values_are_means_over_the_seeds(compare_toy, make_record):
    records = [
        make_record(seed=seed, metrics={"clean_accuracy": accuracy, "asr": asr, "asr_floor": 0.0})
        for seed, accuracy, asr in ((0, 0.5, 1.0), (1, 0.75, 0.5), (2, 1.0, 0.0))
    ]

    (row,) = compare_toy(records)["rows"]

    assert row["values"] == {"clean_accuracy": 0.75, "asr": 0.5, "asr_floor": 0.0}
    assert row["seeds"] == [0, 1, 2]
    assert row["status"] == {"success": 3}


def test_a_failed_cell_is_counted_and_not_averaged(compare_toy, make_record):
    records = [
        make_record(seed=0, metrics={"clean_accuracy": 0.5}),
        make_record(seed=1, status="failed", reason="victim: out of memory"),
        # Whatever a failed record holds, it counts for nothing.
        make_record(seed=2, status="failed", reason="NaN", metrics={"clean_accuracy": 0.0}),
    ]

    comparison = compare_toy(records)
    (row,) = comparison["rows"]

    assert row["values"]["clean_accuracy"] == 0.5
    assert row["seeds"] == [0]
    assert row["status"] == {"success": 1, "failed": 2}
    assert row["reasons"] == ["NaN", "victim: out of memory"]
    assert "2 of 3 cells failed" in " ".join(comparison["notes"])


def test_a_row_in_which_all_failed_has_no_values(compare_toy, make_record):
    (row,) = compare_toy([make_record(status="failed", reason="x")])["rows"]

    assert set(row["values"].values()) == {None}
    assert row["defense_seconds"] is None


def test_a_value_that_does_not_apply_is_nothing_rather_than_zero(compare_toy, make_record):
    records = [make_record("none", seed=seed, metrics={"asr": None}) for seed in (0, 1)]
    records += [
        make_record("patch", seed=0, metrics={"asr": None}),
        make_record("patch", seed=1, metrics={"asr": 0.5}),
    ]

    none, patch = compare_toy(records)["rows"]

    assert none["values"]["asr"] is None
    assert patch["values"]["asr"] == 0.5


def test_there_is_a_row_for_each_data_set_model_attack_and_defense_in_order(
    compare_toy, make_record
):
    places = [("blobs", "patch", "mean"), ("blobs", "none", "mean"), ("rings", "patch", "none")]
    records = [
        make_record(attack, defense, seed, dataset=dataset)
        for seed in (0, 1)
        for dataset, attack, defense in places
    ]

    rows = compare_toy(records)["rows"]

    assert [(row["dataset"], row["attack"], row["defense"]) for row in rows] == places
    assert rows[0]["cells"] == ["patch-mean-0", "patch-mean-1"]


def test_the_cost_of_a_defense_is_what_its_stage_took(compare_toy, make_record):
    records = [
        make_record(defense="mean", seed=0, seconds=2.0),
        make_record(defense="mean", seed=1, seconds=4.0),
        make_record(defense="none", seed=0),
    ]

    mean, none = compare_toy(records)["rows"]

    assert (mean["defense_seconds"], none["defense_seconds"]) == (3.0, 0.0)


def test_columns_say_what_they_are(compare_toy, make_record):
    columns = compare_toy([make_record()])["columns"]

    assert columns[0] == {
        "name": "clean_accuracy",
        "summary": "Accuracy.",
        "direction": "higher",
        "bounds": [0, 1],
        "unit": "share",
        "metric": "bdbench-toy/toy-rates",
    }
    assert [column["name"] for column in columns] == ["clean_accuracy", "asr", "asr_floor"]


@pytest.mark.parametrize(("seeds", "warned"), [(1, True), (2, True), (3, False)])
def test_fewer_than_three_seeds_are_said_to_be_few(compare_toy, make_record, seeds, warned):
    notes = compare_toy([make_record(seed=seed) for seed in range(seeds)])["notes"]

    assert any("may be chance" in note for note in notes) == warned


def test_what_a_reader_must_know_is_noted(compare_toy, make_record):
    records = [make_record(seed=0), make_record(defense="tune", status="incompatible", reason="x")]

    notes = compare_toy(records, SUITE + "limit: 40\n")["notes"]

    assert any(note.startswith("isolation: none") for note in notes)
    assert any("1 of 2 cells cannot run" in note for note in notes)
    assert any("limited to 40 rows" in note for note in notes)
    assert not any("failed" in note for note in notes)


def test_a_comparison_is_plain_data(compare_toy, make_record):
    comparison = compare_toy([make_record(metrics={"asr": 0.5})])

    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison
    assert comparison["schema"] == "bdbench.comparison/1"
    assert (comparison["suite"], comparison["run_id"]) == ("toy", "run-1")
