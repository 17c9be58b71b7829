"""What `bdbench check` tries the plugin with: shorter attacks, and a rate worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bdbench.api import ABSTAIN, Evidence, Predictions, Task

if TYPE_CHECKING:
    from bdbench.testing import KnownValues

__all__ = ["KNOWN_VALUES", "SETTINGS"]

SETTINGS = {"ripples": {"steps": 20}}

_TRUE = (0, 1, 0, 1, 2)


def _table(said: Sequence[int]) -> Predictions:
    answers = np.asarray(said)
    return Predictions(
        ids=np.arange(len(_TRUE)),
        labels=np.asarray(_TRUE),
        columns={"prediction": answers},
        rejected=answers == ABSTAIN,
    )


def _cases() -> list[KnownValues]:
    from bdbench.testing import KnownValues  # noqa: PLC0415 -- only the checks need it

    clean = _table(_TRUE)
    # Target 2, so the first four rows count. With a part of the trigger the defended model gives
    # the target for the first of them (the third is rejected, which is no success), the victim
    # for all but the third, the control for the first two. What they say of the last row does not
    # matter.
    evidence = Evidence(
        task=Task("text-classification", ("text",), ("a", "b", "c")),
        target=2,
        clean=clean,
        undefended_clean=clean,
        control_clean=clean,
        variants={"partial": _table((2, 1, ABSTAIN, 0, 2))},
        undefended_variants={"partial": _table((2, 2, 0, 2, 2))},
        floor_variants={"partial": _table((2, 2, 1, 0, 0))},
    )
    values = {"ftr": 1 / 4, "ftr_undefended": 3 / 4, "ftr_floor": 2 / 4}
    return [KnownValues("a part that is sometimes enough", evidence, values)]


KNOWN_VALUES = {"false-trigger": _cases}
