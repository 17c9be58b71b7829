"""What differs between two records of one cell is found, whatever it is; nothing else is."""

from __future__ import annotations

import pytest

from bdbench.results.differences import (
    Change,
    by_place,
    changes_between,
    common_changes,
    count_changes,
    values_that_differ,
)


def with_component(record, kind, **changes):
    """The record with one component changed."""
    if kind == "defense":
        return record.model_copy(update={"defense": [record.defense[0].model_copy(update=changes)]})
    return record.model_copy(update={kind: getattr(record, kind).model_copy(update=changes)})


def test_equal_records_differ_in_nothing(make_record):
    assert list(changes_between(make_record(), make_record())) == []


@pytest.mark.parametrize("kind", ["dataset", "model", "attack", "defense"])
@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ({"version": "2"}, "1", "2"),
        ({"revision": 2}, "1", "2"),
        ({"component": "e/other"}, None, "e/other"),
        ({"code": "f" * 64}, "0", "f" * 12),
        ({"config": {"rho": 0.3}}, "nothing", "0.3"),
    ],
)
def test_every_part_of_every_component_counts(make_record, kind, changes, before, after):
    record = make_record()
    (change,) = changes_between(record, with_component(record, kind, **changes))

    assert change.after == after
    assert before is None or change.before == before
    assert change.what.startswith("data set" if kind == "dataset" else kind)


def test_grants_recipe_environment_isolation_selection_and_needs_count(make_record):
    before = make_record(
        granted={"clean_rows": 16, "limit": None},
        training={"epochs": 2, "batch_size": 8},
        environment={"torch": "2.1"},
        isolation="namespace",
        selection="fixed",
        needs="weights",
    )
    after = before.model_copy(
        update={
            "granted": {"clean_rows": 64, "limit": 100},
            "training": {"epochs": 3, "batch_size": 8},
            "environment": {"torch": "2.2", "device": "cuda"},
            "isolation": "none",
            "selection": "oracle",
            "needs": "nothing",
        }
    )

    assert list(changes_between(before, after)) == [
        Change("granted: clean_rows", "16", "64"),
        Change("granted: limit", "nothing", "100"),
        Change("training: epochs", "2", "3"),
        Change("environment: torch", "2.1", "2.2"),
        Change("environment: device", "nothing", "cuda"),
        Change("isolation", "namespace", "none"),
        Change("selection", "fixed", "oracle"),
        Change("needs", "weights", "nothing"),
    ]


def test_a_step_more_in_a_defense_counts(make_record):
    record = make_record(defense="mean")
    more = record.model_copy(update={"defense": [*record.defense, *record.defense]})

    assert list(changes_between(record, more)) == [Change("defense", "nothing", "d/mean")]


def test_changes_are_counted_over_cells(make_record):
    pairs = [
        (make_record(seed=seed), make_record(seed=seed, isolation="namespace")) for seed in range(3)
    ]

    assert count_changes(pairs) == {Change("isolation", "none", "namespace"): 3}


def test_values_are_equal_to_the_last_digit_or_differ(make_record):
    before = make_record(metrics={"asr": 0.1, "der": None, "old": 1.0, "same": 0.5})
    after = make_record(metrics={"asr": 0.1 + 1e-16, "der": 0.5, "new": 2.0, "same": 0.5})

    assert list(values_that_differ(before, after)) == [
        ("asr", 0.1, 0.1 + 1e-16),
        ("der", None, 0.5),
        ("old", 1.0, None),
        ("new", None, 2.0),
    ]


def test_metrics_and_references_are_found_in_comparisons(comparison):
    def component(kind, label, version):
        config = {"kind": kind, "label": label, "component": f"d/{label}", "version": version}
        return {**config, "revision": 1, "code": "0", "config": {}}

    def with_components(*components):
        return {"provenance": {"components": list(components)}}

    before = with_components(component("metric", "rates", "1"), component("attack", "patch", "1"))
    after = with_components(
        component("metric", "rates", "2"),
        component("reference", "blend", "1"),
        component("attack", "patch", "2"),
    )

    # Attacks are in the cells' own records.
    assert list(common_changes(before, after)) == [
        Change("metric rates: version", "1", "2"),
        Change("reference", "nothing", "d/blend"),
    ]


def test_cells_are_found_by_their_place(make_record):
    record = make_record("patch", "mean", 1)

    assert by_place([record]) == {("blobs", "linear", "patch", "mean", 1): record}
