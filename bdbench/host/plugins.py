"""Discovery and loading of plugins: each entry point ends in one of five states.

One broken plugin must stop neither the others nor an unrelated command, and must not be
passed over in silence either: it is a row in `bdbench plugins`, one warning, and an error
exactly when a suite names what it would have brought.
"""

from __future__ import annotations

import enum
import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import pluggy  # noqa: TC002 -- named in the signature, and long since imported

from bdbench.api import API_VERSION, hooks
from bdbench.api.specs import (
    AttackSpec,
    ComponentSpec,
    DatasetSpec,
    DefenseSpec,
    ExecutorSpec,
    MetricSpec,
    ModelSpec,
    ReporterSpec,
    SuiteSpec,
)

__all__ = ["Component", "LoadedPlugin", "PluginState", "discover", "load_plugins"]

REGISTRATION_HOOKS: dict[str, type[ComponentSpec]] = {
    "bdbench_register_attacks": AttackSpec,
    "bdbench_register_defenses": DefenseSpec,
    "bdbench_register_metrics": MetricSpec,
    "bdbench_register_models": ModelSpec,
    "bdbench_register_datasets": DatasetSpec,
    "bdbench_register_reporters": ReporterSpec,
    "bdbench_register_executors": ExecutorSpec,
    "bdbench_register_suites": SuiteSpec,
}


class PluginState(enum.StrEnum):
    """What became of an entry point."""

    OK = "ok"
    DISABLED = "disabled"
    BROKEN = "broken"
    CONFLICT = "conflict"
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, slots=True)
class Component:
    """A spec together with who brought it.

    Attributes:
        spec: What the plugin declares.
        distribution: The name of the plugin's distribution.
        version: The distribution's version.
    """

    spec: ComponentSpec
    distribution: str
    version: str

    @property
    def full_name(self) -> str:
        """``<distribution>/<name>``, as it stands in every record."""
        return f"{self.distribution}/{self.spec.name}"


@dataclass(slots=True)
class LoadedPlugin:
    """One entry point and what became of it.

    Attributes:
        distribution: The distribution's name.
        version: The distribution's version.
        entry_point: The entry point's name.
        module: The module that it names.
        state: Where it ended.
        reason: Why, unless it is ok.
        details: The traceback, for ``--debug``.
        components: What it registered.
    """

    distribution: str
    version: str
    entry_point: str
    module: str
    state: PluginState = PluginState.OK
    reason: str = ""
    details: str = ""
    components: list[Component] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The name under which pluggy knows it."""
        return f"{self.distribution}:{self.entry_point}"

    def refuse(self, state: PluginState, reason: str, details: str = "") -> None:
        """Ends in another state than ok."""
        self.state, self.reason, self.details = state, reason, details
        if state is not PluginState.CONFLICT:
            self.components = []


Discovered = tuple[LoadedPlugin, Callable[[], Any]]


def discover(entry_points: Iterable[metadata.EntryPoint] | None = None) -> list[Discovered]:
    """All installed plugins, unloaded, each with the function that imports its module.

    Sorted by distribution and entry point: the order of discovery is otherwise that of the
    file system.
    """
    found: dict[str, Discovered] = {}
    if entry_points is None:
        entry_points = metadata.entry_points(group=hooks.ENTRY_POINT_GROUP)
    for entry_point in entry_points:
        dist = entry_point.dist
        plugin = LoadedPlugin(
            distribution=dist.name if dist else "unknown",
            version=dist.version if dist else "0",
            entry_point=entry_point.name,
            module=entry_point.value,
        )
        # A distribution that is on the path twice shows up twice: the first is the one that
        # Python would import.
        found.setdefault(plugin.id, (plugin, entry_point.load))
    return [found[name] for name in sorted(found)]


def disabled_names() -> frozenset[str]:
    """Plugins that ``BDBENCH_DISABLE_PLUGINS`` (separated by commas) says not to import."""
    names = os.environ.get("BDBENCH_DISABLE_PLUGINS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def load_plugins(
    manager: pluggy.PluginManager,
    discovered: Sequence[Discovered],
    disabled: frozenset[str] = frozenset(),
) -> list[LoadedPlugin]:
    """Imports and registers what was discovered; never raises for what a plugin does.

    Args:
        manager: Knows bdbench's hook specifications.
        discovered: What `discover` gave.
        disabled: Names of distributions or entry points that are not even imported.
    """
    plugins = []
    for plugin, load in discovered:
        plugins.append(plugin)
        if {plugin.distribution, plugin.entry_point, plugin.id} & disabled:
            plugin.refuse(PluginState.DISABLED, "named in BDBENCH_DISABLE_PLUGINS or --no-plugin")
            continue
        try:
            _load(manager, plugin, load())
        # SystemExit too: a plugin must not be able to end the host by being installed.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            if manager.has_plugin(plugin.id):
                manager.unregister(name=plugin.id)
            # An incompatible component has said so itself, more clearly.
            if plugin.state is PluginState.OK:
                reason = f"{type(error).__name__}: {error}".strip()
                plugin.refuse(PluginState.BROKEN, reason, traceback.format_exc())
    _mark_conflicts(plugins)
    return plugins


def _load(manager: pluggy.PluginManager, plugin: LoadedPlugin, module: Any) -> None:
    manager.register(module, name=plugin.id)
    # pluggy accepts a misspelled hook name until it is asked.
    manager.check_pending()
    others = [other for other in manager.get_plugins() if other is not module]
    for hook_name, kind in REGISTRATION_HOOKS.items():
        caller = manager.subset_hook_caller(hook_name, others)
        for spec in (spec for specs in caller() for spec in specs):
            _check_spec(plugin, hook_name, spec, kind)
            plugin.components.append(Component(spec, plugin.distribution, plugin.version))


def _check_spec(
    plugin: LoadedPlugin, hook_name: str, spec: ComponentSpec, kind: type[ComponentSpec]
) -> None:
    if not isinstance(spec, kind):
        raise TypeError(f"{hook_name} gave {type(spec).__name__}, expected {kind.__name__}")
    if not all(part.isalnum() for part in spec.name.split("-")) or not spec.name.isascii():
        raise ValueError(f"component name {spec.name!r} is not in kebab-case (letters, digits, -)")
    if ":" not in spec.target:
        raise ValueError(f"target {spec.target!r} of {spec.name} is not 'package.module:Class'")
    wanted, ours = (tuple(map(int, text.split("."))) for text in (spec.api, API_VERSION))
    if wanted[0] != ours[0] or wanted > ours:
        reason = f"{spec.name} was written for API {spec.api}, this host has {API_VERSION}"
        plugin.refuse(PluginState.INCOMPATIBLE, reason)
        raise ValueError(reason)


def _mark_conflicts(plugins: Sequence[LoadedPlugin]) -> None:
    """Marks all that claim one name; each remains usable by its full name."""
    claims: dict[tuple[str, str], list[LoadedPlugin]] = {}
    for plugin in plugins:
        for component in plugin.components:
            claims.setdefault((component.spec.kind, component.spec.name), []).append(plugin)
    for (kind, name), claimants in claims.items():
        if len(claimants) > 1:
            full = ", ".join(sorted(f"{claimant.distribution}/{name}" for claimant in claimants))
            for claimant in claimants:
                claimant.refuse(
                    PluginState.CONFLICT, f"the {kind} name {name!r} is claimed by {full}"
                )
