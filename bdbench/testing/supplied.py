"""What a plugin's author supplies for the checks: settings, known values, a world.

Defaults are often enough. Where they are not (an attack wants a file of paraphrases, a method
takes minutes by default), the package that a component's class is in has a module
``conformance`` with any of these names::

    SETTINGS = {"my-attack": {"epochs": 1}, "my-other": make_settings}
    KNOWN_VALUES = {"my-metric": make_cases}
    WORLDS = {"my-task": make_world}
    EXPECTED_FAILURES = {"my-attack": {"name_of_a_check": "why it cannot pass"}}

* A value of `SETTINGS`, by the component's name, is a mapping (what a suite would write), or a
  function of the `World` and an empty folder that gives one: it may write files there.
* A value of `KNOWN_VALUES` is a function without arguments that gives `KnownValues`.
* A value of `WORLDS`, by a task's name, is a function of an empty folder that gives a `World`,
  for tasks that `tiny_world` does not know.
* A value of `EXPECTED_FAILURES`, by the component's name, is a mapping of names of checks to the
  reason why each is known to fail. They are strict: a check that is listed and passes fails.

The module is found wherever the plugin is installed, and nothing but the checks imports it.
Names that no component of the plugin has are refused.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdbench.api import AttackEvidence, Evidence, InputError
from bdbench.api.specs import ComponentSpec
from bdbench.testing.expected import expected_of, refuse_mistakes, refuse_strangers

if TYPE_CHECKING:
    from bdbench.testing.worlds import World

__all__ = ["KnownValues", "Supplied"]

MODULE = "conformance"
SettingsMaker = Callable[["World", Path], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class KnownValues:
    """Evidence, and what a metric must make of it.

    Attributes:
        name: What the case is, for messages.
        evidence: What is measured; `AttackEvidence` for a metric of attacks.
        values: What must come out, by name; those left out are not looked at.
        tolerance: How far off a value may be.
    """

    name: str
    evidence: Evidence | AttackEvidence
    values: Mapping[str, float | None]
    tolerance: float = 1e-6


class Supplied:
    """What is supplied for one component; nothing, if its package has no such module.

    Args:
        spec: The component's spec.
    """

    def __init__(self, spec: ComponentSpec) -> None:
        self._name = spec.name
        self._module, self._exists = _find(spec.target)

    @property
    def place(self) -> str:
        """The module that supplies, or would."""
        return self._module

    def settings(self) -> Mapping[str, Any] | SettingsMaker | None:
        """The settings, or what makes them."""
        found: Mapping[str, Any] | SettingsMaker | None = self._read("SETTINGS").get(self._name)
        return found

    def known_values(self) -> Sequence[KnownValues]:
        """Cases with known values."""
        make = self._read("KNOWN_VALUES").get(self._name)
        return make() if make is not None else ()

    def worlds(self) -> Mapping[str, Callable[[Path], World]]:
        """Worlds by task."""
        return self._read("WORLDS")

    def expected_failures(self) -> dict[str, str]:
        """Why a check is known to fail, by its name."""
        found = self._read("EXPECTED_FAILURES").get(self._name, {})
        return expected_of(found, f"{self._module}.EXPECTED_FAILURES: {self._name}")

    def refuse_mistakes(self, specs: Sequence[ComponentSpec]) -> None:
        """Refuses what is supplied for none of a plugin's components.

        Raises:
            InputError: With the nearest name that there is.
        """
        for name in ("SETTINGS", "KNOWN_VALUES"):
            refuse_strangers(self._read(name), specs, f"{self._module}.{name}")
        where = f"{self._module}.EXPECTED_FAILURES"
        refuse_mistakes(self._read("EXPECTED_FAILURES"), specs, where)

    def _read(self, name: str) -> Mapping[str, Any]:
        if not self._exists:
            return {}
        try:
            module = importlib.import_module(self._module)
        except (Exception, SystemExit) as error:
            raise InputError(
                "what is supplied for the checks cannot be imported",
                where=self._module,
                found=f"{type(error).__name__}: {error}",
            ) from error
        found = getattr(module, name, {})
        if not isinstance(found, Mapping):
            raise InputError(
                f"{name} must be a mapping",
                where=self._module,
                found=type(found).__name__,
                expected="names of components (for WORLDS: of tasks) with what is theirs",
            )
        return found


def _find(target: str) -> tuple[str, bool]:
    """The nearest such module beside or above the target's, and whether there is one."""
    module = target.partition(":")[0]
    package = module.rpartition(".")[0]
    nearest = f"{package or module}.{MODULE}"
    while package:
        try:
            if importlib.util.find_spec(f"{package}.{MODULE}") is not None:
                return f"{package}.{MODULE}", True
        # The package itself does not work: `target_resolves` tells why.
        except Exception:  # noqa: BLE001
            break
        package = package.rpartition(".")[0]
    return nearest, False
