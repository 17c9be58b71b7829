"""What `bdbench check` tries the metric with: a cell that was worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bdbench.api import ABSTAIN, Evidence, Predictions, Task

if TYPE_CHECKING:
    from bdbench.testing import KnownValues

__all__ = ["KNOWN_VALUES"]

_TRUE, _TRIGGERED = (0, 1, 2, 0, 1), (0, 2, 0, 2)


def _table(labels: Sequence[int], said: Sequence[int]) -> Predictions:
    answers = np.asarray(said)
    return Predictions(
        ids=np.arange(len(labels)),
        labels=np.asarray(labels),
        columns={"prediction": answers},
        rejected=answers == ABSTAIN,
    )


def _cases() -> list[KnownValues]:
    from bdbench.testing import KnownValues  # noqa: PLC0415 -- only the checks need it

    # Target 1; a defense that stops part of the attack and loses some accuracy.
    evidence = Evidence(
        task=Task("text-classification", ("text",), ("a", "b", "c")),
        target=1,
        clean=_table(_TRUE, (0, 1, 0, 2, ABSTAIN)),
        undefended_clean=_table(_TRUE, (0, 1, 2, 0, 2)),
        control_clean=_table(_TRUE, _TRUE),
        triggered=_table(_TRIGGERED, (1, 2, 2, ABSTAIN)),
        undefended_triggered=_table(_TRIGGERED, (1, 1, 1, 0)),
        floor=_table(_TRIGGERED, (0, 2, 0, 1)),
    )
    values = {
        "clean_accuracy": 2 / 5,
        "clean_accuracy_change": 2 / 5 - 4 / 5,
        "asr": 1 / 4,
        "asr_change": 1 / 4 - 3 / 4,
        "asr_floor": 1 / 4,
        "lfr": 2 / 4,
        "robust_accuracy": 1 / 4,
        "der": (1 / 2 - 2 / 5 + 1) / 2,
        "class_asr.1": None,
    }
    return [KnownValues("half of an attack stopped", evidence, values)]


KNOWN_VALUES = {"classification": _cases}
