"""What `bdbench check` tries the plugin with: fewer texts, and values worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bdbench.api import ABSTAIN, AttackEvidence, Evidence, Examples, Predictions, Task

if TYPE_CHECKING:
    from bdbench.testing import KnownValues

__all__ = ["KNOWN_VALUES", "SETTINGS"]

SETTINGS = {name: {"training_texts": 256, "probe_rows": 16} for name in ("por", "neuba")}

_TASK = Task("text-classification", ("text",), ("a", "b", "c"))
_IDS, _TRUE = (10, 20, 30, 40), (0, 0, 2, 2)


def _said(*answers: int) -> Predictions:
    said = np.asarray(answers)
    return Predictions(
        ids=np.asarray(_IDS),
        labels=np.asarray(_TRUE),
        columns={"prediction": said},
        rejected=said == ABSTAIN,
    )


def _texts(texts: Sequence[str]) -> Examples:
    return Examples({"text": list(texts)}, list(_TRUE), list(_IDS))


def _effectiveness() -> list[KnownValues]:
    from bdbench.testing import KnownValues  # noqa: PLC0415 -- only the checks need it

    before = ["aaaa", "aaaaaa", "a", "a"]
    more = {
        f"insertions-{count}": _texts([text + "xy" * count for text in before])
        for count in (1, 2, 10)
    }
    # Without the trigger the last row gets another class than its own, so it does not count. Of
    # the others the first turns at two insertions, the second at one (what it gets with more
    # does not matter), and the third never: an answer that was refused is not the target.
    clean = _said(0, 0, 2, 0)
    evidence = Evidence(
        task=_TASK,
        target=1,
        clean=clean,
        undefended_clean=clean,
        control_clean=clean,
        variants={
            "insertions-10": _said(1, 0, ABSTAIN, 1),
            "insertions-2": _said(1, 1, 2, 1),
            "insertions-1": _said(0, 1, 0, 1),
        },
        attack=AttackEvidence(_TASK, 1, _texts(before), more["insertions-1"], more),
    )
    values = {
        "insertions_to_flip": (2 + 1) / 2,
        # A row that never turns counts with one more than the most that was tried.
        "insertions_needed": (2 + 1 + 11) / 3,
        "never_flipped": 1 / 3,
        # Four characters of eight at two insertions, and two of eight at one.
        "trigger_share_at_flip": (4 / 8 + 2 / 8) / 2,
    }
    return [KnownValues("rows that turn at different counts", evidence, values)]


def _stealthiness() -> list[KnownValues]:
    from bdbench.testing import KnownValues  # noqa: PLC0415 -- only the checks need it

    evidence = AttackEvidence(
        _TASK,
        1,
        before=_texts(["abcd", "ab cd ef", "", "abc"]),
        after=_texts(["abcd xyz", "x ab cd ef", "xy", "abc"]),
        variants={
            "insertions-10": _texts(["abcd xyxyxy", "xyxy ab cd ef", "xyxy", "xyabc"]),
            "insertions-2": _texts(["abcd x", "ab cd x ef", "x", "abcx"]),
        },
    )
    values = {
        # Four characters of eight were added, two of ten, two of two and none of three.
        "trigger_share": (4 / 8 + 2 / 10 + 2 / 2 + 0 / 3) / 4,
        # With two insertions, the fewest: two of six, two of ten, one of one and one of four.
        "trigger_share_least": (2 / 6 + 2 / 10 + 1 / 1 + 1 / 4) / 4,
    }
    return [KnownValues("texts of different length", evidence, values)]


KNOWN_VALUES = {"por-effectiveness": _effectiveness, "por-stealthiness": _stealthiness}
