"""What is wrong with a plugin's hooks though the host could load it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bdbench.host.plugins import REGISTRATION_HOOKS, discover

__all__ = ["faults_of_plugin"]


def faults_of_plugin(distribution: str) -> list[str]:
    """What is wrong with the hooks of a distribution, in words."""
    loads = [load for plugin, load in discover() if plugin.distribution == distribution]
    return [fault for load in loads for fault in _faults(load())]


def _faults(module: Any) -> Iterator[str]:
    for name in sorted(vars(module)):
        hook = getattr(module, name)
        options = getattr(hook, "bdbench_impl", None)
        if not isinstance(options, dict):
            continue
        registers = (options.get("specname") or name) in REGISTRATION_HOOKS
        # An old wrapper's errors are only warned about; nothing is there to wrap in registration.
        if options.get("hookwrapper"):
            yield f"{name} is marked hookwrapper=True"
        elif options.get("wrapper") and registers:
            yield f"{name} is marked wrapper=True"
        elif registers and hook() is None:
            # Which pluggy takes for: nothing to register.
            yield f"{name} returned None"
