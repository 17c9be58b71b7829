"""What `bdbench check` tries the metric with: a screen and a filter, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bdbench.api import ABSTAIN, Decisions, Evidence, Predictions, Task

if TYPE_CHECKING:
    from bdbench.testing import KnownValues

__all__ = ["KNOWN_VALUES"]


def _screened(
    scores: Sequence[float], rejected: Sequence[int], rewritten: Sequence[int]
) -> Predictions:
    stopped = np.asarray(rejected, dtype=bool)
    return Predictions(
        ids=np.arange(len(scores)),
        labels=np.zeros(len(scores), dtype=np.int64),
        columns={"prediction": np.where(stopped, ABSTAIN, 0)},
        rejected=stopped,
        scores=np.asarray(scores, dtype=float),
        rewritten=np.asarray(rewritten, dtype=bool),
    )


def _cases() -> list[KnownValues]:
    from bdbench.testing import KnownValues  # noqa: PLC0415 -- only the checks need it

    clean = _screened((0, 1, 2, 3), rejected=(0, 0, 0, 1), rewritten=(1, 0, 0, 0))
    triggered = _screened((3, 5, 1), rejected=(0, 1, 0), rewritten=(0, 0, 0))
    # A hundred clean training rows with the scores 0 to 99, then four poisoned ones. The filter
    # drops what scores 90 or more.
    scores = np.asarray([*range(100), 99, 95, 94, 0], dtype=float)
    filtering = Decisions(
        ids=np.arange(104),
        poisoned=np.arange(104) >= 100,
        kept=scores < 90,
        scores=scores,
    )
    evidence = Evidence(
        task=Task("text-classification", ("text",), ("a", "b")),
        target=1,
        clean=clean,
        undefended_clean=clean,
        control_clean=clean,
        triggered=triggered,
        undefended_triggered=triggered,
        floor=triggered,
        filtering=filtering,
    )
    values = {
        # Of the four clean scores, 3 exceeds three and equals one, 5 exceeds all, and 1 exceeds
        # one and equals one: 3.5 + 4 + 1.5 of 3 x 4 pairs.
        "screen_auroc": 9 / 12,
        # One clean row of four is 25 %, so none may reach the threshold: only the score 5 does.
        "screen_tpr_at_1_fpr": 1 / 3,
        "screen_tpr_at_5_fpr": 1 / 3,
        # The first clean row was rewritten, the last rejected; of the triggered rows one was.
        "screen_frr": 2 / 4,
        "screen_far": 2 / 3,
        # 99 exceeds 99 scores and equals one, 95 exceeds 95, 94 exceeds 94, 0 exceeds none:
        # 99.5 + 95.5 + 94.5 + 0.5 of 4 x 100 pairs.
        "filter_auroc": 290 / 400,
        # One clean row reaches 99, five reach 95, six reach 94.
        "filter_tpr_at_1_fpr": 1 / 4,
        "filter_tpr_at_5_fpr": 2 / 4,
        # Dropped are the clean rows from 90 to 99, and all poisoned rows but the last.
        "filter_frr": 10 / 100,
        "filter_far": 1 / 4,
    }
    return [KnownValues("a screen and a filter that find some rows", evidence, values)]


KNOWN_VALUES = {"detection": _cases}
