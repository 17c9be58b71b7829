"""Two defenses, or two runs, side by side: who is better, by more than chance."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bdbench.results.contrast import Finished, contrast_defenses, contrast_runs
from bdbench.results.rows import CellRows

ROWS = 200
COLUMN = {"summary": "", "bounds": [0, 1], "unit": "share", "metric": "d/rates"}
COLUMNS = [
    {**COLUMN, "name": "clean_accuracy", "direction": "higher", "role": "utility"},
    {**COLUMN, "name": "asr", "direction": "lower", "role": "attack"},
]


@pytest.fixture
def finished(make_record):
    """A run of given rates by attack and defense; a place of its own for each data stage."""

    def finished(rates, run_id="run-1", seeds=(0, 1, 2), data="data", suffix="", **changes):
        rng = np.random.default_rng(7)
        ease = rng.random(ROWS)
        records, rows, lines = [], {}, []
        for (attack, defense), (asr, accuracy) in rates.items():
            control = attack == "none"
            lines.append(
                {
                    "dataset": "blobs",
                    "model": "linear",
                    "attack": attack,
                    "defense": defense,
                    "control": control,
                    "gate": {"passed": attack != "weak", "reason": ""},
                }
            )
            for seed in seeds:
                # The same rows are easy for all; a little is each seed's own.
                values = {"clean_accuracy": (ease < accuracy + 0.01 * seed).astype(float)}
                if not control:
                    values["asr"] = (ease < asr + 0.01 * seed).astype(float)
                record = make_record(
                    attack,
                    defense,
                    seed,
                    metrics={name: float(value.mean()) for name, value in values.items()},
                    stages={"data": data},
                    **changes,
                )
                record = record.model_copy(update={"cell_id": record.cell_id + suffix})
                records.append(record)
                rows[record.cell_id] = CellRows(np.arange(ROWS), values)
        comparison = {
            "run_id": run_id,
            "roles": {"attack": "asr", "utility": "clean_accuracy", "floor": None},
            "columns": COLUMNS,
            "rows": lines,
            "provenance": {"components": []},
        }
        return Finished(comparison, records, rows)

    return finished


RATES = {
    ("none", "merge"): (None, 0.9),
    ("none", "tune"): (None, 0.9),
    ("patch", "merge"): (0.1, 0.9),
    ("patch", "tune"): (0.7, 0.9),
    ("weak", "merge"): (0.4, 0.9),
    ("weak", "tune"): (0.4, 0.6),
}


def entry_of(data, attack, defense=None):
    (entry,) = (
        entry
        for entry in data["entries"]
        if entry["attack"] == attack and defense in {None, entry.get("defense")}
    )
    return entry


def test_the_defense_with_less_success_of_the_attack_is_better(finished):
    data = contrast_defenses(finished(RATES), "merge", "tune")
    pair = entry_of(data, "patch")["values"]["attack"]

    assert pair["a"]["mean"] < 0.2
    assert pair["b"]["mean"] > 0.6
    assert pair["difference"]["mean"] == pytest.approx(pair["b"]["mean"] - pair["a"]["mean"])
    assert pair["difference"]["low"] > 0.4
    assert pair["difference"]["significant"]
    assert pair["better"] == "a"


def test_the_defense_with_more_accuracy_is_better(finished):
    data = contrast_defenses(finished(RATES), "tune", "merge")

    assert entry_of(data, "weak")["values"]["utility"]["better"] == "b"


def test_where_nothing_differs_nobody_is_better(finished):
    data = contrast_defenses(finished(RATES), "merge", "tune")
    pair = entry_of(data, "weak")["values"]["attack"]

    assert pair["difference"]["mean"] == 0
    assert pair["difference"]["p_holm"] == 1
    assert pair["better"] == ""


def test_the_control_has_accuracy_and_no_success_of_an_attack(finished):
    values = entry_of(contrast_defenses(finished(RATES), "merge", "tune"), "none")["values"]

    assert values["attack"] is None
    assert values["utility"] is not None


def test_p_values_of_a_role_are_corrected_together(finished):
    data = contrast_defenses(finished(RATES), "merge", "tune")
    p = {
        attack: entry_of(data, attack)["values"]["attack"]["difference"]
        for attack in ("patch", "weak")
    }

    assert p["patch"]["p_holm"] == pytest.approx(2 * p["patch"]["p"])


def test_with_two_seeds_nothing_is_tested(finished):
    data = contrast_defenses(finished(RATES, seeds=(0, 1)), "merge", "tune")
    pair = entry_of(data, "patch")["values"]["attack"]

    assert (pair["difference"]["p"], pair["difference"]["low"], pair["better"]) == (None, None, "")
    assert pair["difference"]["mean"] > 0.5


def test_a_defense_that_failed_on_an_attack_is_left_out_there(finished):
    run = finished(RATES)
    records = [
        record.model_copy(update={"status": "failed", "metrics": {}})
        if (record.attack.label, record.defense_label) == ("patch", "tune")
        else record
        for record in run.records
    ]
    data = contrast_defenses(Finished(run.comparison, records, run.rows), "merge", "tune")

    assert entry_of(data, "patch")["values"] == {"attack": None, "utility": None}


def test_the_very_same_cells_are_not_tested(finished):
    data = contrast_runs(finished(RATES, "run-1"), finished(RATES, "run-2"))

    assert data["cells"] == {"both": 18, "same": 18, "only_a": [], "only_b": []}
    assert data["changes"] == []
    assert all(entry["same"] for entry in data["entries"])
    pair = entry_of(data, "patch", "merge")["values"]["attack"]
    assert pair["better"] is None
    assert (pair["difference"]["p_holm"], pair["difference"]["significant"]) == (None, None)


def test_every_entry_has_the_same_keys(finished):
    after = finished({**RATES, ("patch", "tune"): (0.1, 0.9)}, "run-2", suffix="-new")
    same, other = (
        entry_of(data, "patch", "merge")["values"]["attack"]
        for data in (
            contrast_runs(finished(RATES), finished(RATES, "run-2")),
            contrast_runs(finished(RATES), after),
        )
    )

    assert other["difference"]["p_holm"] == 1
    assert same.keys() == other.keys()
    assert same["difference"].keys() == other["difference"].keys()


def test_cells_of_one_run_only_are_named(finished):
    less = {place: rate for place, rate in RATES.items() if place[0] != "weak"}
    more = {**less, ("late", "merge"): (0.5, 0.9)}
    data = contrast_runs(finished(RATES, seeds=(0,)), finished(more, seeds=(0,)))

    assert data["cells"]["both"] == 4
    assert data["cells"]["only_a"] == [
        ["blobs", "linear", "weak", "merge", 0],
        ["blobs", "linear", "weak", "tune", 0],
    ]
    assert data["cells"]["only_b"] == [["blobs", "linear", "late", "merge", 0]]


def test_a_change_of_a_run_is_told_with_its_cause_and_tested(finished):
    after = finished(
        {**RATES, ("patch", "tune"): (0.1, 0.9)}, "run-2", suffix="-new", training={"epochs": 3}
    )
    data = contrast_runs(finished(RATES, training={"epochs": 2}), after)
    entry = entry_of(data, "patch", "tune")

    assert data["changes"] == [{"what": "training: epochs", "a": "2", "b": "3", "cells": 18}]
    assert not entry["same"]
    assert entry["paired_by_row"]
    assert entry["values"]["attack"]["difference"]["mean"] < -0.5
    assert entry["values"]["attack"]["better"] == "b"


def test_runs_on_other_data_are_paired_by_seed_alone(finished):
    before, after = finished(RATES), finished(RATES, data="other", suffix="-new")
    entry = entry_of(contrast_runs(before, after), "patch", "merge")

    assert not entry["paired_by_row"]
    # Equal in every seed, and without rows nothing says how much it might vary.
    assert entry["values"]["attack"]["difference"]["low"] is None


def test_cells_that_never_ran_had_no_other_data(finished):
    before, after = finished(RATES), finished(RATES, suffix="-new")
    never = [record.model_copy(update={"stages": {}}) for record in before.records]
    before = Finished(before.comparison, never, before.rows)

    assert entry_of(contrast_runs(before, after), "patch", "merge")["paired_by_row"]


def test_values_of_another_name_are_not_compared(finished):
    before, after = finished(RATES), finished(RATES, suffix="-new")
    after.comparison["roles"]["attack"] = None

    entry = entry_of(contrast_runs(before, after), "patch", "merge")
    assert entry["values"]["attack"] is None
    assert entry["values"]["utility"] is not None


def test_a_contrast_is_plain_data(finished):
    run = finished(RATES)
    for data in (contrast_defenses(run, "merge", "tune"), contrast_runs(run, run)):
        assert json.loads(json.dumps(data, allow_nan=False)) == data
