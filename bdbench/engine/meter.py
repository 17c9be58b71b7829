"""What a stage costs, measured alike for all."""

from __future__ import annotations

import resource
import time

from bdbench.results.records import Cost

__all__ = ["Meter"]


class Meter:
    """Counts from its making on.

    Attributes:
        forward_rows: Rows that went through a model.
        backward_rows: Rows that a gradient was computed for.
        gradient_steps: Steps of an optimizer.
        clean_rows_drawn: The most clean rows that a defense took.
        reference_models: The most reference models that a defense took.
        tuning_trials: Settings that were tried on clean rows.
        parameters_changed: The share of the victim's weights that a repair changed.
    """

    def __init__(self) -> None:
        self.forward_rows = 0
        self.backward_rows = 0
        self.gradient_steps = 0
        self.clean_rows_drawn = 0
        self.reference_models = 0
        self.tuning_trials = 0
        self.parameters_changed: float | None = None
        self._wall = time.perf_counter()
        self._cpu = time.process_time()
        self._elsewhere = 0.0
        self._peak = 0.0

    def add(self, cost: Cost) -> None:
        """Adds what a component's own process used meanwhile.

        Wall time runs here as it does there, and is not added.
        """
        self.forward_rows += cost.forward_rows
        self.backward_rows += cost.backward_rows
        self.gradient_steps += cost.gradient_steps
        self.clean_rows_drawn = max(self.clean_rows_drawn, cost.clean_rows_drawn)
        self.reference_models = max(self.reference_models, cost.reference_models)
        self._elsewhere += cost.cpu_seconds
        self._peak = max(self._peak, cost.peak_memory_mib)

    def drawn(self, *, clean_rows: int = 0, references: int = 0) -> None:
        """Notes what a defense took of what it was granted."""
        self.clean_rows_drawn = max(self.clean_rows_drawn, clean_rows)
        self.reference_models = max(self.reference_models, references)

    def cost(self) -> Cost:
        """What was used so far. Memory is a process's peak, which includes its imports."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Cost(
            wall_seconds=round(time.perf_counter() - self._wall, 3),
            cpu_seconds=round(time.process_time() - self._cpu + self._elsewhere, 3),
            peak_memory_mib=round(max(own, self._peak), 1),
            forward_rows=self.forward_rows,
            backward_rows=self.backward_rows,
            gradient_steps=self.gradient_steps,
            clean_rows_drawn=self.clean_rows_drawn,
            reference_models=self.reference_models,
            parameters_changed=self.parameters_changed,
            tuning_trials=self.tuning_trials,
        )
