from __future__ import annotations

import numpy as np
import pytest

from bdbench.api import ABSTAIN, Evidence, InputError, Predictions, Task
from bdbench_attack_weights.false_trigger import FalseTrigger

TASK = Task("text-classification", ("text",), ("no", "maybe", "yes"))


def predictions(labels, answers, name="prediction"):
    return Predictions(
        ids=np.arange(len(labels)),
        labels=np.array(labels, dtype=int),
        columns={name: np.array(answers)},
        rejected=np.zeros(len(labels), dtype=bool),
    )


def measure(*, target=2, defended=None, undefended=None, control=None):
    nothing = predictions([0], [0])
    evidence = Evidence(
        task=TASK,
        target=target,
        clean=nothing,
        undefended_clean=nothing,
        control_clean=nothing,
        variants={} if defended is None else {"partial": defended},
        undefended_variants={} if undefended is None else {"partial": undefended},
        floor_variants={} if control is None else {"partial": control},
    )
    return FalseTrigger(None).measure(evidence)


def test_rows_of_other_classes_count():
    values = measure(
        defended=predictions([0, 1, 0, 1, 2], [2, 1, ABSTAIN, 0, 2]),
        undefended=predictions([0, 1, 2], [2, 2, 0]),
        control=predictions([0, 1, 2], [0, 1, 2]),
    )
    assert values == {"ftr": 0.25, "ftr_undefended": 1.0, "ftr_floor": 0.0}


def test_without_the_variant_there_is_no_rate():
    assert measure() == {"ftr": None, "ftr_undefended": None, "ftr_floor": None}


def test_without_a_target_there_is_no_rate():
    assert measure(target=None, defended=predictions([0], [0]))["ftr"] is None


def test_rows_of_the_target_class_alone_give_no_rate():
    assert measure(defended=predictions([2, 2], [2, 0]))["ftr"] is None


@pytest.mark.parametrize(
    "rows", [predictions([0], [0], name="score"), predictions([0, 1], [0.5, 1.0])]
)
def test_answers_that_are_no_class_numbers_are_refused(rows):
    with pytest.raises(InputError, match="not one class number for each row"):
        measure(defended=rows)
