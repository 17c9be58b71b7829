"""The threshold that the clean rows give."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bdbench.api import InputError
from bdbench_defense_onion.config import least_words
from bdbench_defense_onion.scoring import Verdict

__all__ = ["quantile_threshold"]

# Two scores that differ by less (relative to the larger) may be one score, rounded twice.
_ROUNDING = 1e-4


def quantile_threshold(verdicts: Iterable[Verdict], quantile: float) -> float:
    """A threshold that at most the share ``1 - quantile`` of these words exceeds.

    It lies half-way between two scores of clean words, so that rounding does not decide about
    any of them.

    Args:
        verdicts: On clean texts; words without a score do not count.
        quantile: The share of words that must stay, in (0, 1).

    Raises:
        InputError: There are too few words to tell.
    """
    scores = sorted(
        (score for verdict in verdicts for score in verdict.scores if score is not None),
        reverse=True,
    )
    over = math.floor((1 - quantile) * len(scores) + 1e-9)
    if not over:
        raise InputError(
            "the clean rows have too few words for a threshold",
            where="onion: threshold",
            found=f"{len(scores)} words that the language model can judge",
            expected=f"at least {least_words(quantile)} for quantile {quantile}",
            next="grant more clean rows, set a lower `quantile`, or give `threshold` a number",
        )
    highest_kept = scores[over]
    margin = _ROUNDING * max(1.0, abs(highest_kept))
    removed = [score for score in scores[:over] if score > highest_kept + margin]
    return (highest_kept + removed[-1]) / 2 if removed else highest_kept + margin
