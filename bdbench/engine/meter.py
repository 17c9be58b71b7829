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
    """

    def __init__(self) -> None:
        self.forward_rows = 0
        self.backward_rows = 0
        self.gradient_steps = 0
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def cost(self) -> Cost:
        """What was used so far. Memory is the process's peak, which includes its imports."""
        return Cost(
            wall_seconds=round(time.perf_counter() - self._wall, 3),
            cpu_seconds=round(time.process_time() - self._cpu, 3),
            peak_memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            forward_rows=self.forward_rows,
            backward_rows=self.backward_rows,
            gradient_steps=self.gradient_steps,
        )
