"""What is ranked: attacks that took, and rows whose numbers can be compared.

Everything is shown. What fails a gate bears its reason and takes no part in ranks and fronts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bdbench.api.defenses import Selection
from bdbench.results.records import ISOLATION, CellRecord, Status
from bdbench.results.statistics import MIN_SEEDS
from bdbench.suite.schema import Gates

__all__ = [
    "ENOUGH",
    "NEVER_ATTACKED",
    "judge_attack",
    "judge_defense",
    "least_isolated",
    "why_unranked",
]

NEVER_ATTACKED = "never attacked"
ENOUGH = ISOLATION[ISOLATION.index("landlock") :]
ROUNDING = 1e-9
WORDS: dict[Status, str] = {
    "failed": "failed",
    "incompatible": "cannot run",
    "skipped": "did not run",
}


def judge_attack(
    gates: Gates,
    *,
    success: float | None,
    floor: float | None,
    utility: float | None,
    control_utility: float | None,
) -> dict[str, Any]:
    """Whether an attack took, by means over seeds of the undefended victim.

    Args:
        gates: The suite's.
        success: The attack's success.
        floor: The same of the control, which nobody attacked.
        utility: What a victim is for: its clean accuracy.
        control_utility: The control's.

    Returns:
        ``passed`` and ``reason``, as in a comparison.
    """
    if success is None or floor is None:
        reason = "the undefended victim has no value for the attack's success or its floor"
    elif utility is None or control_utility is None:
        reason = "the control has no value to compare the victim's with"
    elif success - floor < gates.asr_over_floor - ROUNDING:
        reason = (
            f"the attack did not take: success {success:.3f} is less than "
            f"{gates.asr_over_floor:g} above the floor {floor:.3f}"
        )
    elif control_utility - utility > gates.accuracy_under_control + ROUNDING:
        reason = (
            f"the attack harms the victim: {utility:.3f} is more than "
            f"{gates.accuracy_under_control:g} under the control's {control_utility:.3f}"
        )
    else:
        reason = ""
    return {"passed": not reason, "reason": reason}


def why_unranked(
    records: Sequence[CellRecord],
    gate: dict[str, Any],
    success: str | None,
    harm: str = "",
) -> str:
    """Why a row takes no part in ranks; empty if it does.

    Args:
        records: Of the row's cells.
        gate: What `judge_attack` said of the row's attack.
        success: The name of the value that is ranked by.
        harm: What `judge_defense` said of the row's defense.
    """
    if gate["reason"] == NEVER_ATTACKED:
        return NEVER_ATTACKED
    return "; ".join([*_reasons(records, gate, success), *filter(None, [harm])])


def judge_defense(gates: Gates, change: float | None) -> str:
    """Why a defense does not count against an attack; empty if it does.

    Whoever destroys the model destroys the backdoor with it, and would be ranked first.

    Args:
        gates: The suite's.
        change: What it changes of the undefended victim's clean accuracy, mean over seeds; None
            where that is not known.
    """
    if change is None or -change <= gates.accuracy_under_victim + ROUNDING:
        return ""
    return (
        f"the defense harms the model: it costs {-change:.3f} of what it is for, more than "
        f"{gates.accuracy_under_victim:g}"
    )


def least_isolated(records: Sequence[CellRecord]) -> str:
    """The weakest of the ways in which the components of these cells were kept apart."""
    return min((record.isolation for record in records), key=ISOLATION.index)


def _reasons(
    records: Sequence[CellRecord], gate: dict[str, Any], success: str | None
) -> Iterable[str]:
    if not gate["passed"]:
        yield str(gate["reason"])
    statuses = Counter(record.status for record in records)
    for status, words in WORDS.items():
        if statuses[status]:
            yield f"{statuses[status]} of {len(records)} cells {words}"
    done = [record for record in records if record.status == "success"]
    if len(done) == len(records) and len(done) < MIN_SEEDS:
        yield f"{len(done)} {'seed' if len(done) == 1 else 'seeds'}"
    without = sum(record.metrics.get(success or "") is None for record in done)
    if without:
        yield f"{without} of {len(records)} cells have no value for the attack's success"
    if any(record.selection == Selection.ORACLE for record in done):
        yield f"selection: {Selection.ORACLE.value}"
    if done and (isolation := least_isolated(done)) not in ENOUGH:
        yield f"isolation: {isolation}"
