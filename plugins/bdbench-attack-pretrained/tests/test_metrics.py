from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import (
    ABSTAIN,
    AttackEvidence,
    Evidence,
    Examples,
    InputError,
    Predictions,
    Task,
)
from bdbench_attack_pretrained.hooks import bdbench_register_metrics
from bdbench_attack_pretrained.metrics import Effectiveness, Stealthiness

TASK = Task("text-classification", ("text",), ("a", "b", "c"))
SPECS = {spec.name: spec for spec in bdbench_register_metrics()}


def table(ids, labels, predicted):
    said = np.asarray(predicted, dtype=np.int64)
    return Predictions(
        ids=np.asarray(ids),
        labels=np.asarray(labels),
        columns={"prediction": said},
        rejected=said == ABSTAIN,
    )


def evidence(variants, clean=None):
    clean = clean or table([10, 20, 30, 40, 50], [0, 0, 2, 2, 1], [0, 0, 2, 0, 1])
    return Evidence(TASK, 1, clean, clean, clean, variants=variants)


def of(*predicted):
    return table([10, 20, 30, 40], [0, 0, 2, 2], predicted)


def effectiveness(given):
    return Effectiveness(None).measure(given)


def test_known_values():
    values = effectiveness(
        evidence(
            {
                "insertions-10": of(1, 1, ABSTAIN, 1),
                "insertions-2": of(0, 1, 2, 1),
                "insertions-3": of(1, 0, 2, 1),
                "something-else": of(1, 1, 1, 1),
            }
        )
    )
    # Row 40 is wrong without a trigger; row 10 turns at 3, row 20 at 2, row 30 never.
    assert values == pytest.approx(
        {
            "insertions_to_flip": (3 + 2) / 2,
            "insertions_needed": (3 + 2 + 11) / 3,
            "never_flipped": 1 / 3,
            "trigger_share_at_flip": None,
        }
    )


def test_a_defense_that_stops_all():
    values = effectiveness(evidence({"insertions-1": of(0, 0, 2, 1)}))
    assert values == {
        "insertions_to_flip": None,
        "insertions_needed": 2,
        "never_flipped": 1,
        "trigger_share_at_flip": None,
    }


@pytest.mark.parametrize("variants", [{}, {"half": of(1, 1, 1, 1)}])
def test_without_such_variants_there_is_nothing_to_say(variants):
    assert set(effectiveness(evidence(variants)).values()) == {None}


def test_a_model_that_is_always_wrong_has_no_rows():
    wrong = table([10, 20, 30, 40], [0, 0, 2, 2], [2, ABSTAIN, 0, 0])
    values = effectiveness(evidence({"insertions-1": of(1, 1, 1, 1)}, wrong))
    assert set(values.values()) == {None}


answers = st.lists(st.sampled_from([ABSTAIN, 0, 1, 2]), min_size=4, max_size=4)


@given(st.dictionaries(st.integers(1, 9), answers, min_size=1), answers, st.permutations(range(4)))
def test_values_are_within_bounds_whatever_the_order(predicted, clean, order):
    given = evidence(
        {f"insertions-{count}": of(*said) for count, said in predicted.items()}, of(*clean)
    )
    values = effectiveness(given)
    for value in SPECS["por-effectiveness"].values:
        low, high = value.bounds
        found = values[value.name]
        assert found is None or (low <= found and (high is None or found <= high))
    order = list(order)

    def mixed(answers):
        return table(
            answers.ids[order], answers.labels[order], answers.columns["prediction"][order]
        )

    shuffled = {name: mixed(one) for name, one in reversed(given.variants.items())}
    assert effectiveness(replace(given, clean=mixed(given.clean), variants=shuffled)) == values


def texts(**column):
    ids = [int(name[1:]) for name in column]
    return Examples({"text": list(column.values())}, [0] * len(ids), ids)


def stealthiness(before, after, **variants):
    given = AttackEvidence(TASK, 1, before, after, variants)
    return Stealthiness(None).measure(given)


def test_the_share_of_added_characters():
    before = texts(r1="abcd", r2="ab cd efg", r3="abcdefgh")
    values = stealthiness(
        before,
        texts(r1="abcd xyz", r2="x ab cd efg", r3="ab xyzxyzcdefgh"),
        **{"insertions-2": texts(r3="xx abcdefgh"), "insertions-1": texts(r1="abcd x")},
    )
    assert values["trigger_share"] == pytest.approx((4 / 8 + 2 / 11 + 7 / 15) / 3)
    assert values["trigger_share_least"] == pytest.approx(2 / 6)


def test_an_attack_that_takes_away_or_has_no_variants():
    before = texts(r1="abcd", r2="")
    assert stealthiness(before, texts(r1="abc", r2=""))["trigger_share"] is None
    values = stealthiness(before, texts(r1="abcd", r2=""))
    assert values == {"trigger_share": 0, "trigger_share_least": None}


def test_what_is_not_text():
    rows = Examples({"text": [b"abc"]}, [0], [7])
    with pytest.raises(InputError, match=r"column 'text', row 7: .*bytes"):
        stealthiness(rows, rows)


def test_values_are_those_of_the_specs():
    assert list(effectiveness(evidence({}))) == [
        value.name for value in SPECS["por-effectiveness"].values
    ]
    before = texts(r1="a")
    assert list(stealthiness(before, before)) == [
        value.name for value in SPECS["por-stealthiness"].values
    ]


def test_the_trigger_is_weighed_where_it_turns_a_row():
    """Row 10 turns at one insertion, row 20 at two, row 30 never."""
    before = Examples({"text": ["aa", "aaaa", "aa"]}, [0, 0, 2], [10, 20, 30])

    def with_triggers(count):
        return before.with_input("text", [text + "xy" * count for text in before.inputs["text"]])

    attack = AttackEvidence(
        TASK,
        1,
        before,
        with_triggers(1),
        {"insertions-2": with_triggers(2), "insertions-1": with_triggers(1)},
    )
    clean = table([10, 20, 30], [0, 0, 2], [0, 0, 2])
    answers = {
        "insertions-1": table([10, 20, 30], [0, 0, 2], [1, 0, 2]),
        "insertions-2": table([10, 20, 30], [0, 0, 2], [1, 1, 2]),
    }
    values = effectiveness(replace(evidence(answers, clean), attack=attack))

    assert values["insertions_to_flip"] == 1.5
    assert values["trigger_share_at_flip"] == pytest.approx((2 / 4 + 4 / 8) / 2)
    shrinking = replace(attack, before=with_triggers(3))
    values = effectiveness(replace(evidence(answers, clean), attack=shrinking))
    assert values["trigger_share_at_flip"] is None
