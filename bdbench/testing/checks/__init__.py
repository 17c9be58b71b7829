"""The checks themselves; importing this package registers them, in the order of the imports."""

from __future__ import annotations

from bdbench.testing.check import CHECKS

# The order in which checks are made and shown.
from bdbench.testing.checks import (  # isort: skip
    hooks,
    declarations,
    configurations,
    behaviour,
    attacks,
    defenses,
    metrics,
    models,
    datasets,
)

__all__ = [
    "CHECKS",
    "attacks",
    "behaviour",
    "configurations",
    "datasets",
    "declarations",
    "defenses",
    "hooks",
    "metrics",
    "models",
]
