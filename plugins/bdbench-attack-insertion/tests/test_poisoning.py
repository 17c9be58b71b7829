from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bdbench.api import AttackerView, Examples, InputError, PoisonsData, SeedStream, Task
from bdbench_attack_insertion.attacks import BadNets, InsertSent
from bdbench_attack_insertion.config import BadNetsConfig, InsertSentConfig

TASK = Task("text-classification", ("text",), ("negative", "neutral", "positive"))
ATTACKS = {BadNets: BadNetsConfig, InsertSent: InsertSentConfig}
kinds = st.sampled_from(list(ATTACKS))
classes = st.lists(st.integers(0, 2), min_size=4, max_size=60)


def view(labels):
    texts = [f"this is text {row}" for row in range(len(labels))]
    return AttackerView(
        TASK, Examples({"text": texts}, labels, [5 * row for row in range(len(labels))])
    )


def make(kind, **settings):
    return kind(ATTACKS[kind](**settings))


def feasible(labels, rate, *, clean_label, target=1):
    count = round(rate * len(labels))
    suitable = sum((label == target) == clean_label for label in labels)
    return 0 < count <= suitable


@given(kinds, classes, st.floats(0.02, 0.9), st.booleans(), st.integers(0, 99))
def test_exactly_the_masked_rows_change(kind, labels, rate, clean_label, seed):
    assume(feasible(labels, rate, clean_label=clean_label))
    given_view = view(labels)
    attack = make(kind, poison_rate=rate, clean_label=clean_label)
    done = attack.poison(given_view, SeedStream(seed))

    before, after = given_view.train, done.train
    assert sum(done.mask) == round(rate * len(labels))
    assert list(after.ids) == list(before.ids)
    for row, hit in enumerate(done.mask):
        assert (after.inputs["text"][row] != before.inputs["text"][row]) == hit
        assert (after.labels[row] != labels[row]) == (hit and not clean_label)
        if hit:
            assert after.labels[row] == 1
    assert done.notes == {
        "training_rows": len(labels),
        "poisoned_rows": sum(done.mask),
        "relabelled_rows": 0 if clean_label else sum(done.mask),
    }


@given(kinds, classes, st.floats(0.02, 0.9), st.floats(0.02, 0.9), st.booleans())
def test_a_smaller_rate_poisons_a_subset_alike(kind, labels, rate, other, clean_label):
    low, high = sorted([rate, other])
    assume(feasible(labels, low, clean_label=clean_label))
    assume(feasible(labels, high, clean_label=clean_label))
    few, many = (
        make(kind, poison_rate=share, clean_label=clean_label).poison(view(labels), SeedStream(3))
        for share in (low, high)
    )
    for row, hit in enumerate(few.mask):
        if hit:
            assert many.mask[row]
            assert few.train.row(row) == many.train.row(row)


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize(("clean_label", "rate"), [(False, 0.8), (True, 0.4), (False, 0.01)])
def test_a_rate_that_cannot_be_met_is_an_error(kind, clean_label, rate):
    with pytest.raises(InputError, match="the poison rate cannot be met"):
        make(kind, poison_rate=rate, clean_label=clean_label).poison(
            view([0, 1, 2, 0, 1, 2, 0, 0, 0, 1]), SeedStream(0)
        )


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("target", [3, -1, "postive"])
def test_a_target_that_is_no_class_is_an_error(kind, target):
    with pytest.raises(InputError, match="not a class of this task"):
        make(kind, target=target).poison(view([0, 1] * 20), SeedStream(0))


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_target_may_be_named(kind):
    done = make(kind, target="positive").poison(view([0, 1] * 20), SeedStream(0))
    assert {label for label, hit in zip(done.train.labels, done.mask, strict=True) if hit} == {2}


@pytest.mark.parametrize("kind", ATTACKS)
def test_other_seeds_poison_other_rows(kind):
    masks = [make(kind).poison(view([0, 1] * 20), SeedStream(seed)).mask for seed in (0, 0, 1)]
    assert masks[0] == masks[1] != masks[2]


@pytest.mark.parametrize("kind", ATTACKS)
def test_the_attack_speaks_the_protocol(kind):
    assert isinstance(make(kind), PoisonsData)
