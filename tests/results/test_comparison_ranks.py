"""Which rows of a comparison are ranked, and why others are not."""

from __future__ import annotations


def test_what_passed_every_gate_is_ranked(compare_toy, row_of, whole):
    comparison = compare_toy(
        whole({"mean": (0.88, 0.2), "tune": (0.8, 0.3)}), defenses=("none", "mean", "tune")
    )

    (ranking,) = comparison["rankings"]
    assert [item["defense"] for item in ranking["defenses"]] == ["mean", "tune", "none"]
    assert (ranking["attacks"], ranking["left_out"]) == (["patch"], [])
    front = {row["defense"]: row["pareto"] for row in comparison["rows"] if not row["control"]}
    assert front == {"none": True, "mean": True, "tune": False}
    control = row_of(comparison, "none", "mean")
    assert (control["ranked"], control["unranked_because"]) == (False, "never attacked")
    assert control["pareto"] is False


def test_an_attack_that_did_not_take_is_left_out_with_its_reason(compare_toy, row_of, whole):
    records = whole({"mean": (0.88, 0.2)})
    records += [
        record.model_copy(
            update={
                "attack": record.attack.model_copy(update={"label": "weak"}),
                "metrics": {**record.metrics, "asr": 0.3},
            }
        )
        for record in records
        if record.attack.label == "patch"
    ]

    comparison = compare_toy(records, attacks=("none", "patch", "weak"))

    (ranking,) = comparison["rankings"]
    assert ranking["attacks"] == ["patch"]
    assert [item["attack"] for item in ranking["left_out"]] == ["weak"]
    weak = row_of(comparison, "weak", "mean")
    assert weak["gate"] == row_of(comparison, "weak", "none")["gate"]
    assert weak["unranked_because"] == weak["gate"]["reason"] == ranking["left_out"][0]["reason"]
    assert not weak["pareto"]


def test_a_failed_cell_takes_its_defense_out_and_not_the_attack(compare_toy, row_of, whole):
    records = [
        record.model_copy(update={"status": "failed"})
        if (record.attack.label, record.defense_label, record.seed) == ("patch", "tune", 1)
        else record
        for record in whole({"mean": (0.88, 0.2), "tune": (0.9, 0.0)})
    ]

    comparison = compare_toy(records, defenses=("none", "mean", "tune"))

    (ranking,) = comparison["rankings"]
    assert [item["defense"] for item in ranking["defenses"]] == ["mean", "none"]
    assert "Not ranked: tune (1 of 3 cells failed)" in ranking["note"]
    assert row_of(comparison, "patch", "mean")["pareto"]


def test_nothing_is_ranked_with_two_seeds(compare_toy, whole):
    comparison = compare_toy(whole({"mean": (0.88, 0.2)}, seeds=2))

    assert comparison["rankings"] == []
    assert {row["unranked_because"] for row in comparison["rows"]} == {"never attacked", "2 seeds"}


def test_without_the_control_no_attack_can_be_judged(compare_toy, row_of, whole):
    comparison = compare_toy(whole({"mean": (0.88, 0.2)}, attacks=("patch",)))

    assert comparison["rankings"] == []
    assert "control" in row_of(comparison, "patch", "mean")["gate"]["reason"]


def test_an_attack_is_judged_by_the_seeds_that_its_victim_and_the_control_share(
    compare_toy, row_of, make_record
):
    """The control's best seed failed under the attack: that is no harm that the attack did."""
    walls = {"isolation": "namespace"}
    records = [
        make_record("none", "none", seed, metrics={"clean_accuracy": accuracy}, **walls)
        for seed, accuracy in enumerate((0.8, 0.8, 1.0))
    ]
    attacked = {"clean_accuracy": 0.8, "asr": 0.9, "asr_floor": 0.1}
    records += [make_record("patch", "none", seed, metrics=attacked, **walls) for seed in (0, 1)]
    records.append(make_record("patch", "none", 2, status="failed", reason="x", metrics={}))

    assert row_of(compare_toy(records), "patch", "none")["gate"] == {"passed": True, "reason": ""}


def test_gates_are_those_of_the_suite(compare_toy, whole):
    comparison = compare_toy(whole({"mean": (0.88, 0.2)}), text="gates: {asr_over_floor: 0.9}\n")

    assert comparison["gates"] == {
        "asr_over_floor": 0.9,
        "accuracy_under_control": 0.05,
        "accuracy_under_victim": 0.1,
    }
    assert comparison["rankings"] == []


def test_who_destroys_the_model_is_not_ranked_for_it(compare_toy, row_of, whole):
    defenses = {"mean": (0.88, 0.2), "destroy": (0.5, 0.0)}
    comparison = compare_toy(whole(defenses))

    assert row_of(comparison, "patch", "destroy")["unranked_because"] == (
        "the defense harms the model: it costs 0.400 of what it is for, more than 0.1"
    )
    (ranking,) = comparison["rankings"]
    assert [item["defense"] for item in ranking["defenses"]] == ["mean", "none"]
    assert "destroy (the defense harms the model" in ranking["note"]
    generous = compare_toy(whole(defenses), text="gates: {accuracy_under_victim: 0.5}\n")
    assert generous["rankings"][0]["defenses"][0]["defense"] == "destroy"
