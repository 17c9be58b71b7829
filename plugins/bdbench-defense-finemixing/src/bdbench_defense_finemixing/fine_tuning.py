"""Fine-tuning on the defender's clean rows."""

from __future__ import annotations

from bdbench.api import Checkpoint, DefenderView, Defense, Examples, InputError, Repair
from bdbench_defense_finemixing.config import LEAST_ROWS, FineTuningConfig

__all__ = ["FineTuning", "granted_rows"]


class FineTuning(Defense):
    """All weights of the victim, trained further on the clean rows by the host's loop."""

    config: FineTuningConfig

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes the tuned model to ``view.workspace / "model"``.

        Raises:
            InputError: There are too few clean rows.
        """
        rows = granted_rows(view, LEAST_ROWS, "fine-tuning")
        module = view.engine.load(victim)
        seeds = view.seeds.child("fine-tune")
        view.engine.fine_tune(module, victim, rows, self.config.recipe(), seeds)
        checkpoint = view.engine.save(module, victim, view.workspace / "model")
        return Repair(checkpoint, notes={"clean_rows": len(rows)})


def granted_rows(view: DefenderView, least: int, defense: str) -> Examples:
    """The clean rows.

    Raises:
        InputError: There are fewer than `least`.
    """
    rows = view.clean_rows
    if len(rows) < least:
        raise InputError(
            "too few clean rows",
            where=defense,
            found=f"{len(rows)} granted",
            expected=f"{least} or more",
            next="grant more under `defender: clean_rows:`",
        )
    return rows
