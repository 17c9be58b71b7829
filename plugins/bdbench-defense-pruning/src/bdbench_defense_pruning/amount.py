"""How much to prune: given, or the most that the accuracy on clean rows allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bdbench_defense_pruning.config import AmountConfig

__all__ = ["settle_amount"]


def settle_amount(
    config: AmountConfig, prune: Callable[[float], None], accuracy: Callable[[], float]
) -> dict[str, Any]:
    """Prunes by the configured amount, or by one that is chosen, and tells about it.

    The choice goes up in steps (``step``, twice that, ...) and ends before the first amount at
    which the accuracy is more than ``tolerance`` below that of the unpruned model, as Liu et al.
    (2018) prune until a threshold is crossed. No later amount is looked at, even if the accuracy
    recovers. 0 is chosen if the first step is too much.

    Args:
        config: The amount, or how to choose it.
        prune: Brings the model to this amount of pruning, whatever it was before.
        accuracy: Measures the model as it is now.

    Returns:
        Notes for the record.
    """
    if config.amount != "auto":
        prune(config.amount)
        return {"amount": config.amount, "selection": "fixed"}
    unpruned = accuracy()
    chosen, chosen_accuracy, measured = 0.0, unpruned, []
    for number in range(1, int(1 / config.step) + 1):
        amount = round(number * config.step, 9)
        if amount >= 1:
            break
        prune(amount)
        now = accuracy()
        measured.append([amount, now])
        # Both are multiples of one row's share; the margin is for their rounding.
        if now < unpruned - config.tolerance - 1e-9:
            break
        chosen, chosen_accuracy = amount, now
    prune(chosen)
    notes = {
        "amount": chosen,
        "selection": "clean_val",
        "accuracy_unpruned": unpruned,
        "accuracy_pruned": chosen_accuracy,
        "accuracy_by_amount": measured,
    }
    if chosen == 0:
        notes["finding"] = "nothing pruned: the first step costs more accuracy than `tolerance`"
    return notes
