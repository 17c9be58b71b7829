"""No attack and no defense: ordinary components, so that baselines are cells like any other."""

from __future__ import annotations

from bdbench.api import Attack, Defense, Examples, SeedStream, Task

__all__ = ["NoAttack", "NoDefense"]


class NoAttack(Attack):
    """Touches nothing. Its victim is the control."""

    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:  # noqa: ARG002
        """The rows as they are."""
        return examples


class NoDefense(Defense):
    """Has no stage: the victim is used as it is."""
