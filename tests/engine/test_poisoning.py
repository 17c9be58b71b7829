"""An attack is held to what it claims: every broken claim is caught before a victim is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from bdbench.api import (
    Attack,
    Examples,
    InputError,
    PoisonConfig,
    Poisoning,
    SeedStream,
    choose_poison_rows,
)
from bdbench.engine.rows import read_examples


def patched(vector):
    vector = vector.copy()
    vector[1] = 9
    return vector


class Patch(Attack):
    """A sound attack; what is wrong with one is its subclass's only method."""

    def poison(self, view, seeds):
        rows = choose_poison_rows(
            view.train.labels,
            self.config.target,
            self.config.poison_rate,
            clean_label=self.config.clean_label,
            seeds=seeds,
        )
        vectors, labels = list(view.train.inputs["vector"]), list(view.train.labels)
        for row in rows:
            vectors[row] = patched(vectors[row])
            labels[row] = self.config.target
        mask = [row in rows for row in range(len(labels))]
        train = view.train.with_input("vector", vectors).with_labels(labels)
        return self.twist(Poisoning(train, mask, {"rows": rows}), view)

    def twist(self, poisoning, view):
        return poisoning

    def apply_trigger(self, examples, task, seeds):
        return examples.with_input("vector", [patched(v) for v in examples.inputs["vector"]])


def appending(count, *, ids=None, mark=True):
    """A twist that adds rows."""

    def twist(self, poisoning, view):
        extra = replace(
            view.train.select(list(range(count))), ids=ids or list(range(9000, 9000 + count))
        ).with_labels([1] * count)
        train = view.train + extra
        return Poisoning(train, [False] * len(view.train) + [mark] * count)

    return twist


@pytest.fixture
def poison(bench, splits):
    """Poisons 40 rows at a rate of 0.1, so 4 of them."""

    def poison(config=None, given=None, **methods):
        found = type("Twisted", (Patch,), methods)
        attack = bench.attack(found, {"poison_rate": 0.1, **(config or {})}, rules=PoisonConfig)
        return bench.folder(bench.poison(attack, bench.data(given or splits())))

    return poison


@pytest.fixture
def broken(poison, refused):
    """What the host found a broken claim to be."""

    def broken(config=None, **methods):
        error = refused(poison, config, **methods)
        assert error["what"] == "the attack does not keep to its rules", error
        return error["found"]

    return broken


# --- sound attacks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "suitable", "rows", "advice"),
    [
        (0.001, 40, 80, "set poison_rate to at least 0.0125, or use more rows"),
        (0.8, 40, 80, "set poison_rate to at most 0.5"),
        (0.1, 2, 5000, "set poison_rate to at most 0.0004"),
        (0.1, 0, 80, "choose another target or label policy"),
    ],
)
def test_a_rate_that_cannot_be_met_leads_to_one_that_can(rate, suitable, rows, advice):
    labels = [0] * suitable + [1] * (rows - suitable)

    def choose(rate):
        return choose_poison_rows(labels, 1, rate, clean_label=False, seeds=SeedStream(0))

    with pytest.raises(InputError) as caught:
        choose(rate)
    assert caught.value.next == advice
    if suitable:
        assert choose(float(advice.split(",")[0].split()[-1]))


def test_a_sound_attack_leaves_its_rows_its_mask_and_the_triggered_rows(poison, splits):
    folder = poison()
    given = splits()

    train = read_examples(folder / "train.parquet")
    mask = pq.read_table(folder / "mask.parquet").to_pydict()
    assert mask["id"] == train.ids == given.train.ids
    assert sum(mask["poisoned"]) == 4
    for row, poisoned in enumerate(mask["poisoned"]):
        assert (train.inputs["vector"][row][1] == 9) == poisoned
        assert train.labels[row] == (1 if poisoned else given.train.labels[row])

    triggered = read_examples(folder / "triggered.parquet")
    # Only rows on which success can be seen: those of other classes than the target.
    assert triggered.ids == [row for row in given.test.ids if row % 2 == 0]
    assert set(triggered.labels) == {0}
    assert all(vector[1] == 9 for vector in triggered.inputs["vector"])


def test_the_record_says_how_much_was_poisoned(bench, splits):
    attack = bench.attack(Patch, {"poison_rate": 0.1}, rules=PoisonConfig)
    key = bench.poison(attack, bench.data(splits()))
    meta = bench.store.meta(key)

    assert meta["notes"]["poisoned_rows"] == 4
    assert meta["notes"]["poison_rate"] == 0.1
    assert meta["notes"]["triggered_rows"] == 10
    assert len(meta["notes"]["rows"]) == 4
    assert meta["values"] == {"target": 1}


def test_a_clean_label_attack_changes_inputs_only(poison, splits):
    train = read_examples(poison({"clean_label": True}) / "train.parquet")

    assert train.labels == splits().train.labels
    assert sum(vector[1] == 9 for vector in train.inputs["vector"]) == 4


def test_rows_may_be_added_under_new_ids(poison):
    train = read_examples(poison(twist=appending(4)) / "train.parquet")

    assert train.ids[-4:] == [9000, 9001, 9002, 9003]
    assert len(train) == 44


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_ids_masks_and_labels_may_be_any_sequence(poison, kind):
    def twist(self, poisoning, view):
        train = poisoning.train
        return Poisoning(
            Examples(train.inputs, [int(label) for label in train.labels], kind(train.ids)),
            kind(poisoning.mask),
        )

    assert len(read_examples(poison(twist=twist) / "train.parquet")) == 40


def test_the_same_seed_poisons_the_same_rows_and_another_others(bench, splits):
    attack = bench.attack(Patch, {"poison_rate": 0.1}, rules=PoisonConfig)
    data = bench.data(splits())

    one, same, other = (
        bench.notes(bench.poison(attack, data, seed=seed))["rows"] for seed in (0, 0, 1)
    )
    assert one == same != other


# --- broken claims about the training rows ------------------------------------------------------


def _unmark(self, poisoning, view):
    mask = list(poisoning.mask)
    mask[mask.index(True)] = False
    return replace(poisoning, mask=mask)


def _relabel_unmarked(self, poisoning, view):
    row = list(poisoning.mask).index(False)
    labels = list(poisoning.train.labels)
    labels[row] = 1 - labels[row]
    return replace(poisoning, train=poisoning.train.with_labels(labels))


def _swap_ids(self, poisoning, view):
    ids = list(poisoning.train.ids)
    ids[0], ids[1] = ids[1], ids[0]
    return replace(poisoning, train=replace(poisoning.train, ids=ids))


def _reorder(self, poisoning, view):
    order = list(range(len(poisoning.mask)))[::-1]
    mask = [poisoning.mask[row] for row in order]
    return replace(poisoning, train=poisoning.train.select(order), mask=mask)


def _drop_a_row(self, poisoning, view):
    rows = range(1, len(poisoning.mask))
    return replace(poisoning, train=poisoning.train.select(rows), mask=poisoning.mask[1:])


def _short_mask(self, poisoning, view):
    return replace(poisoning, mask=poisoning.mask[:-1])


CLAIMS = {
    "a changed row that is not marked": (_unmark, "was changed, but is not marked"),
    "a changed label that is not marked": (_relabel_unmarked, "was changed, but is not marked"),
    "an added row that is not marked": (appending(1, mark=False), "not marked"),
    "ids in another order": (_swap_ids, "not the clean ones in their order"),
    "rows in another order": (_reorder, "not the clean ones in their order"),
    "a row that is gone": (_drop_a_row, "not the clean ones in their order"),
    "a mask of another length": (_short_mask, "not the clean ones in their order"),
    "more rows than the rate allows": (appending(5), "5 of 40 rows were poisoned at rate 0.1"),
    "an added row with the id of another": (appending(2, ids=[3, 9001]), "the same id"),
    "two added rows with one id": (appending(2, ids=[9001, 9001]), "the same id"),
}


@pytest.mark.parametrize(("twist", "words"), CLAIMS.values(), ids=CLAIMS)
def test_a_broken_claim_about_the_training_rows_is_caught(broken, twist, words):
    assert words in broken(twist=twist)


@pytest.mark.parametrize("label", [0, 1])
def test_a_clean_label_attack_may_not_change_a_label(broken, label):
    def twist(self, poisoning, view):
        vectors, labels = list(view.train.inputs["vector"]), list(view.train.labels)
        row = labels.index(label)
        vectors[row], labels[row] = patched(vectors[row]), 1 - label
        mask = [position == row for position in range(len(labels))]
        return Poisoning(view.train.with_input("vector", vectors).with_labels(labels), mask)

    assert "under clean_label: true" in broken({"clean_label": True}, twist=twist)


def test_a_clean_label_attack_may_not_add_rows(broken):
    assert "under clean_label: true" in broken({"clean_label": True}, twist=appending(2))


def test_the_rate_may_be_rounded_but_not_up_beyond_the_nearest_row(poison, broken):
    # 0.06 of 40 rows are 2.4.
    assert poison({"poison_rate": 0.06}, twist=appending(2))
    assert "3 of 40 rows" in broken({"poison_rate": 0.06}, twist=appending(3))


# --- broken claims about the trigger ------------------------------------------------------------


def _trigger(change):
    def apply_trigger(self, examples, task, seeds):
        return change(Patch.apply_trigger(self, examples, task, seeds), examples)

    return apply_trigger


def _without(rows):
    def change(after, before):
        vectors = list(after.inputs["vector"])
        for row in rows(len(vectors)):
            vectors[row] = before.inputs["vector"][row]
        return after.with_input("vector", vectors)

    return change


TRIGGERS = {
    "no row": (_without(range), "10 of 10 rows came back without a trigger"),
    "not every row": (_without(lambda n: [n - 1]), "1 of 10 rows came back without a trigger"),
    "labels": (
        lambda after, before: after.with_labels([1] * len(after)),
        "changed the order, ids or labels",
    ),
    "order": (
        lambda after, before: after.select(range(len(after))[::-1]),
        "changed the order, ids or labels",
    ),
    "ids": (
        lambda after, before: replace(after, ids=[i + 1 for i in after.ids]),
        "changed the order, ids or labels",
    ),
    "fewer": (lambda after, before: after.select([0, 1]), "changed the order, ids or labels"),
    "more": (lambda after, before: after + after, "changed the order, ids or labels"),
}


@pytest.mark.parametrize(("change", "words"), TRIGGERS.values(), ids=TRIGGERS)
def test_a_broken_claim_about_the_trigger_is_caught(broken, change, words):
    assert words in broken(apply_trigger=_trigger(change))


def test_a_test_set_on_which_nothing_can_be_seen_is_refused(poison, splits, refused):
    given = splits()
    one_class = replace(given, test=given.test.with_labels([1] * len(given.test)))

    error = refused(poison, given=one_class)

    assert error["what"] == "no test row can show whether the attack works"


# --- settings that do not fit the task ----------------------------------------------------------


def test_a_target_that_the_task_does_not_have_is_refused(poison, refused):
    error = refused(poison, {"target": "lefft"})

    assert error["what"] == "not a class of this task"
    assert error["next"] == "write 'left'"


def test_a_rate_that_cannot_be_met_is_refused(poison, refused):
    assert refused(poison, {"poison_rate": 0.6})["what"] == "the poison rate cannot be met"


def test_an_attack_for_another_task_is_refused(bench, splits, refused):
    attack = bench.attack(Patch, rules=PoisonConfig, tasks=frozenset({"image-classification"}))

    error = refused(bench.poison, attack, bench.data(splits()))

    assert error["what"] == "the attack does not work for this task"


def test_an_attacker_is_given_no_test_rows(poison):
    seen = []

    def twist(self, poisoning, view):
        names = {name for name in dir(view) if not name.startswith("_")}
        seen.extend([names, set(view.train.ids)])
        return poisoning

    poison(twist=twist)

    assert seen == [{"task", "train", "engine", "start", "workspace"}, set(range(40))]


@pytest.mark.parametrize("name", ["engine", "start", "workspace"])
def test_an_attack_on_data_only_is_given_no_model(refused, poison, name):
    def twist(self, poisoning, view):
        getattr(view, name)

    assert refused(poison, twist=twist)["type"] == "NotGrantedError"
