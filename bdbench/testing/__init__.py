"""What plugin authors test with: a tiny world, an engine, fakes, and the conformance suite.

A plugin's whole conformance test is::

    from bdbench.testing import parametrize_with_checks

    @parametrize_with_checks("bdbench-defense-mine")
    def test_conformance(check):
        check()

and ``bdbench check bdbench-defense-mine`` runs the same checks on what is installed. Where a
component needs more than its defaults in a tiny world, its package says so in a module
`conformance` (see `bdbench.testing.supplied`).

With bdbench installed, pytest also has the fixtures of `bdbench.testing.plugin`. Nothing here
imports torch before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdbench.testing.check import Check, CheckFailedError, CheckSkipped
    from bdbench.testing.checks import CHECKS
    from bdbench.testing.engine import LocalEngine
    from bdbench.testing.fakes import FakeDistributions
    from bdbench.testing.parametrize import BoundCheck, parametrize_with_checks
    from bdbench.testing.report import CheckReport, CheckResult, Outcome
    from bdbench.testing.running import check_component, check_distribution
    from bdbench.testing.supplied import KnownValues
    from bdbench.testing.worlds import World, tiny_world

__all__ = [
    "CHECKS",
    "BoundCheck",
    "Check",
    "CheckFailedError",
    "CheckReport",
    "CheckResult",
    "CheckSkipped",
    "FakeDistributions",
    "KnownValues",
    "LocalEngine",
    "Outcome",
    "World",
    "check_component",
    "check_distribution",
    "parametrize_with_checks",
    "tiny_world",
]

HOMES = {
    "CHECKS": "checks",
    "BoundCheck": "parametrize",
    "Check": "check",
    "CheckFailedError": "check",
    "CheckReport": "report",
    "CheckResult": "report",
    "CheckSkipped": "check",
    "FakeDistributions": "fakes",
    "KnownValues": "supplied",
    "LocalEngine": "engine",
    "Outcome": "report",
    "World": "worlds",
    "check_component": "running",
    "check_distribution": "running",
    "parametrize_with_checks": "parametrize",
    "tiny_world": "worlds",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """Imports a public name's module when the name is first asked for."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
