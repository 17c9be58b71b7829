"""Rows are means over the seeds that succeeded; what is claimed of them can be claimed."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest

from bdbench.api import Direction
from bdbench.api.specs import Role
from bdbench.results.comparison import compare, compare_rows
from bdbench.results.records import Cost
from bdbench.results.rows import CellRows

# --- rows ---------------------------------------------------------------------------------------


def test_values_are_means_over_the_seeds(compare_toy, make_record):
    records = [
        make_record(seed=seed, metrics={"clean_accuracy": accuracy, "asr": asr, "asr_floor": 0.0})
        for seed, accuracy, asr in ((0, 0.5, 1.0), (1, 0.75, 0.5), (2, 1.0, 0.0))
    ]

    (row,) = compare_toy(records)["rows"]

    means = {name: estimate["mean"] for name, estimate in row["values"].items()}
    assert means == {"clean_accuracy": 0.75, "asr": 0.5, "asr_floor": 0.0}
    assert row["values"]["asr"]["sd"] == 0.5
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

    assert row["values"]["clean_accuracy"]["mean"] == 0.5
    assert (row["seeds"], row["failed"]) == ([0], 2)
    assert row["status"] == {"success": 1, "failed": 2}
    assert row["reasons"] == ["NaN", "victim: out of memory"]
    assert "2 of 3 cells failed" in " ".join(comparison["notes"])


def test_a_row_in_which_all_failed_has_no_values(compare_toy, make_record):
    (row,) = compare_toy([make_record(status="failed", reason="x")])["rows"]

    assert set(row["values"].values()) == {None}
    assert set(row["cost"].values()) == {None}
    assert row["over_floor"] is None


def test_a_value_that_does_not_apply_is_nothing_rather_than_zero(compare_toy, make_record):
    records = [make_record("none", seed=seed, metrics={"asr": None}) for seed in (0, 1)]
    records += [
        make_record("patch", seed=0, metrics={"asr": None}),
        make_record("patch", seed=1, metrics={"asr": 0.5}),
    ]

    none, patch = compare_toy(records)["rows"]

    assert none["values"]["asr"] is None
    assert (patch["values"]["asr"]["mean"], patch["values"]["asr"]["seeds"]) == (0.5, 1)


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
    assert [(row["control"], row["baseline"]) for row in rows] == [
        (False, False), (True, False), (False, True),
    ]  # fmt: skip


def test_the_cost_of_a_defense_is_what_its_own_stages_took(compare_toy, make_record):
    records = [
        make_record(defense="mean", seed=0, seconds=2.0),
        make_record(defense="mean", seed=1, seconds=4.0),
        make_record(defense="none", seed=0),
    ]
    own = Cost(wall_seconds=1, clean_rows_drawn=64, parameters_changed=0.5, peak_memory_mib=300)
    screen = Cost(wall_seconds=2, clean_rows_drawn=32, peak_memory_mib=200)
    both = make_record(defense="both").model_copy(
        update={"costs": {"treated": own, "screened_clean": screen, "victim": Cost(wall_seconds=9)}}
    )

    mean, none, screened = (row["cost"] for row in compare_toy([*records, both])["rows"])

    assert (mean["seconds"], none["seconds"], screened["seconds"]) == (3.0, 0.0, 3.0)
    # The same rows are granted to every stage, and memory is not held by all at once.
    assert (screened["clean_rows_drawn"], screened["peak_memory_mib"]) == (64, 300)
    assert (screened["parameters_changed"], none["parameters_changed"]) == (0.5, None)


# --- changes ------------------------------------------------------------------------------------


def test_changes_are_against_the_undefended_victim_of_the_same_attack(compare_toy, row_of, whole):
    comparison = compare_toy(whole({"mean": (0.88, 0.2)}))

    row = row_of(comparison, "patch", "mean")
    assert row["changes"]["attack"]["mean"] == pytest.approx(-0.7)
    assert row["changes"]["utility"]["mean"] == pytest.approx(-0.02)
    assert row["over_floor"]["mean"] == pytest.approx(0.1)
    assert row["control_effect"]["mean"] == pytest.approx(-0.02)
    assert row_of(comparison, "patch", "none")["changes"] == {"attack": None, "utility": None}
    assert row_of(comparison, "patch", "none")["control_effect"] is None
    assert row_of(comparison, "none", "mean")["changes"]["attack"] is None


def test_the_effect_on_the_control_is_that_on_a_model_that_was_never_attacked(
    compare_toy, row_of, whole
):
    records = [
        record.model_copy(update={"metrics": {"clean_accuracy": 0.84}})
        if (record.attack.label, record.defense_label) == ("none", "mean")
        else record
        for record in whole({"mean": (0.88, 0.2)})
    ]

    row = row_of(compare_toy(records), "patch", "mean")

    assert row["changes"]["utility"]["mean"] == pytest.approx(-0.02)
    assert row["control_effect"]["mean"] == pytest.approx(-0.06)


def test_claims_are_corrected_within_a_data_set_and_model(make_suite, whole, values):
    """Ten defenses that change a little make it harder for the eleventh, and no other board."""
    defended = {"good": (0.9, 0.5), **{f"d{number}": (0.9, 0.88) for number in range(10)}}
    records = whole(defended, dataset="blobs") + whole({"good": (0.9, 0.5)}, dataset="rings")
    # No two records of a suite are one cell.
    records = [
        record.model_copy(update={"cell_id": f"{record.dataset.label}/{record.cell_id}"})
        for record in records
    ]
    rng = np.random.default_rng(0)
    rows = {}
    for record in records:
        asr = record.metrics.get("asr")
        if asr is not None:
            hits = (np.arange(100) < asr * 100).astype(float)
            hits[rng.integers(0, 100, 3)] = 1
            record.metrics["asr"] = hits.mean()
            rows[record.cell_id] = CellRows(np.arange(100), {"asr": hits})
    suite = make_suite(values, defenses=("none", *defended), datasets=("blobs", "rings"))

    found = compare_rows(records, suite, rows)["rows"]

    change = {
        row["dataset"]: row["changes"]["attack"]
        for row in found
        if (row["attack"], row["defense"]) == ("patch", "good")
    }
    assert change["rings"]["p_holm"] == change["rings"]["p"]
    assert change["blobs"]["p_holm"] == pytest.approx(11 * change["blobs"]["p"])


# --- columns and roles --------------------------------------------------------------------------


def test_columns_say_what_they_are(compare_toy, make_record):
    comparison = compare_toy([make_record()])

    assert comparison["columns"][0] == {
        "name": "clean_accuracy",
        "summary": "clean_accuracy.",
        "direction": "higher",
        "bounds": [0, 1],
        "unit": "share",
        "metric": "bdbench-metric-made-up/rates",
        "role": "utility",
    }
    assert comparison["roles"] == {
        "attack": "asr", "floor": "asr_floor", "utility": "clean_accuracy",
    }  # fmt: skip


def test_values_by_class_have_a_column_for_each(compare_toy, make_record, value):
    record = make_record(metrics={"recall.10": 0.5, "recall.2": 0.25})

    comparison = compare_toy([record], values=[value("recall", per_class=True)])

    assert [column["name"] for column in comparison["columns"]] == ["recall.2", "recall.10"]


def test_the_first_of_two_values_with_a_role_has_it(compare_toy, make_record, value, values):
    other = value("lfr", Direction.LOWER, Role.ATTACK)
    comparison = compare_toy([make_record()], values=[*values, other])

    assert comparison["roles"]["attack"] == "asr"
    assert comparison["columns"][3]["role"] is None
    assert any("asr and lfr both claim the role attack" in note for note in comparison["notes"])


def test_without_roles_nothing_is_ranked_and_a_note_says_why(compare_toy, row_of, whole, value):
    comparison = compare_toy(whole({"mean": (0.88, 0.2)}), values=[value("clean_accuracy")])

    assert comparison["rankings"] == []
    assert comparison["roles"] == {"attack": None, "floor": None, "utility": None}
    assert any("nothing is ranked" in note for note in comparison["notes"])
    assert row_of(comparison, "patch", "mean")["changes"] == {"attack": None, "utility": None}


# --- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("seeds", "warned"), [(1, True), (2, True), (3, False)])
def test_fewer_than_three_seeds_are_said_to_be_few(compare_toy, make_record, seeds, warned):
    notes = compare_toy([make_record(seed=seed) for seed in range(seeds)])["notes"]

    assert any("may be chance" in note for note in notes) == warned


def test_what_a_reader_must_know_is_noted(compare_toy, make_record):
    records = [make_record(seed=0), make_record(defense="tune", status="incompatible", reason="x")]

    notes = compare_toy(records, text="limit: 40\n")["notes"]

    assert any("without walls" in note for note in notes)
    assert any("1 of 2 cells cannot run" in note for note in notes)
    assert any("limited to 40 rows" in note for note in notes)
    assert not any("failed" in note for note in notes)


def test_cells_that_never_ran_are_not_said_to_have_run_without_walls(compare_toy, make_record):
    records = [make_record(isolation="namespace"), make_record(seed=1, status="failed")]

    comparison = compare_toy(records)

    assert not any("without walls" in note for note in comparison["notes"])
    assert comparison["rows"][0]["isolation"] == "namespace"
    assert comparison["provenance"]["isolation"] == ["namespace"]


def test_provenance_names_everything_that_took_part_once(make_suite, whole, values):
    suite = make_suite(values, citations={"mean": "@article{m}", "rates": "@article{r}"})

    found = compare(whole({"mean": (0.88, 0.2)}), suite, "run-1", store=None)

    parts = [(item["kind"], item["label"]) for item in found["provenance"]["components"]]
    assert parts == [
        ("dataset", "blobs"), ("model", "linear"), ("attack", "none"), ("attack", "patch"),
        ("defense", "none"), ("defense", "mean"), ("metric", "rates"),
    ]  # fmt: skip
    assert {item["bibtex"] for item in found["citations"]} == {"@article{r}"}


def test_a_comparison_is_plain_data_of_a_moment(make_suite, whole, values):
    when = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    comparison = compare(
        whole({"mean": (0.88, 0.2)}), make_suite(values), "run-1", store=None, created=when
    )

    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison
    assert comparison["schema"] == "bdbench.comparison/3"
    assert (comparison["suite"], comparison["run_id"]) == ("toy", "run-1")
    assert comparison["created"] == "2026-01-02T03:04:05Z"
    assert comparison["references"] == ["control", "other"]
