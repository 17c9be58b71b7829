"""Discovery and loading of plugins: each entry point ends in one of five states.

One broken plugin must stop neither the others nor an unrelated command, and must not be
passed over in silence either: it is a row in `bdbench plugins`, one warning, and an error
exactly when a suite names what it would have brought.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
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
from bdbench.host.declared import check_declared
from bdbench.host.installed import has_module, name_of, stated
from bdbench.host.names import called, nobody
from bdbench.host.reasons import (
    api_number,
    asks_for_more,
    explained,
    incompatibility,
    is_supported,
    reason_of,
)

__all__ = [
    "Component",
    "LoadedPlugin",
    "PluginState",
    "disable",
    "disabled_names",
    "discover",
    "load_plugins",
    "unknown_names",
]

HOST = "bdbench"
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
        watches: Whether it has a hook that is told of runs.
    """

    distribution: str
    version: str
    entry_point: str
    module: str
    state: PluginState = PluginState.OK
    reason: str = ""
    details: str = ""
    components: list[Component] = field(default_factory=list)
    watches: bool = False

    @property
    def brings(self) -> str:
        """What it is good for, in words."""
        names = ", ".join(item.spec.name for item in self.components)
        return names or ("watches runs" if self.watches else "brings nothing")

    @property
    def id(self) -> str:
        """The name under which pluggy knows it."""
        return f"{self.distribution}:{self.entry_point}"

    @property
    def names(self) -> tuple[str, str, str]:
        """All that it may be called where plugins are left out."""
        return self.distribution, self.entry_point, self.id

    def refuse(self, state: PluginState, reason: str, details: str = "") -> None:
        """Ends in another state than ok."""
        self.state, self.reason, self.details = state, reason, details
        if state is not PluginState.CONFLICT:
            self.components = []


Discovered = tuple[LoadedPlugin, Callable[[], Any]]


def discover(entry_points: Iterable[metadata.EntryPoint] | None = None) -> list[Discovered]:
    """All installed plugins, unloaded, each with the function that imports its module.

    The host's own first, whose modules nobody else may register; then by distribution and entry
    point: the order of discovery is otherwise that of the file system.
    """
    found: dict[str, Discovered] = {}
    if entry_points is None:
        entry_points = metadata.entry_points(group=hooks.ENTRY_POINT_GROUP)
    for entry_point in entry_points:
        dist = entry_point.dist
        plugin = LoadedPlugin(
            distribution=name_of(dist) if dist else "unknown",
            version=(stated(dist, "Version") if dist else "") or "0",
            entry_point=entry_point.name,
            module=entry_point.value,
        )
        # A distribution that is on the path twice shows up twice: the first is the one that
        # Python would import.
        found.setdefault(plugin.id, (plugin, partial(_import, entry_point)))
    return sorted(found.values(), key=lambda item: (item[0].distribution != HOST, item[0].id))


def _import(entry_point: metadata.EntryPoint) -> Any:
    """The module of an entry point, if it is its distribution's own."""
    dist = entry_point.dist
    if dist is not None and not stated(dist, "Name"):
        raise ImportError(f"half removed: {name_of(dist)} has entry points, and no METADATA")
    if dist is not None and not has_module(dist, entry_point.module):
        raise ImportError(f"{entry_point.module} is not among the files of {dist.name}")
    return entry_point.load()


def disabled_names() -> frozenset[str]:
    """Plugins that ``BDBENCH_DISABLE_PLUGINS`` (separated by commas) says not to import."""
    names = os.environ.get("BDBENCH_DISABLE_PLUGINS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def disable(plugins: Iterable[LoadedPlugin], names: frozenset[str]) -> None:
    """Disables those that are named, however the names are written (``A_b`` is ``a-b``)."""
    for plugin in plugins:
        if called(plugin.names, names):
            plugin.refuse(PluginState.DISABLED, "named in BDBENCH_DISABLE_PLUGINS or --no-plugin")


def unknown_names(plugins: Sequence[LoadedPlugin], names: frozenset[str]) -> list[str]:
    """What to tell of names that disable nothing, because nothing is called so."""
    known = {name for plugin in plugins for name in plugin.names} if names else set()
    return [nobody(name, known) for name in sorted(names - called(known, names))]


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
    plugins = [plugin for plugin, _ in discovered]
    disable(plugins, disabled)
    for plugin, load in discovered:
        if plugin.state is PluginState.DISABLED:
            continue
        try:
            # What is printed meanwhile is no output of the command that is run.
            with contextlib.redirect_stdout(sys.stderr):
                _load(manager, plugin, load())
        except KeyboardInterrupt:
            raise
        # Whatever it is: a plugin must not be able to end the host by being installed.
        except BaseException as error:  # noqa: BLE001
            # At once: an unknown hook would be held against whoever comes next.
            manager.unregister(name=plugin.id)
            # An incompatible component has said so itself, more clearly.
            if plugin.state is PluginState.OK:
                _refuse(plugin, error)
    for plugin in _refuse_twins(plugins):
        manager.unregister(name=plugin.id)
    _mark_conflicts(plugins)
    return plugins


def _refuse(plugin: LoadedPlugin, error: BaseException) -> None:
    details = "".join(traceback.format_exception(error))
    why = incompatibility(plugin.distribution, plugin.module) if asks_for_more(error) else ""
    if why:
        plugin.refuse(PluginState.INCOMPATIBLE, f"{why} ({reason_of(error)})", details)
    else:
        plugin.refuse(PluginState.BROKEN, explained(error), details)


def _load(manager: pluggy.PluginManager, plugin: LoadedPlugin, module: Any) -> None:
    if manager.is_registered(module):
        raise ValueError(f"{plugin.module} is already registered, by {manager.get_name(module)}")
    manager.register(module, name=plugin.id)
    # pluggy accepts a misspelled hook name until it is asked.
    manager.check_pending()
    _check_marked(module)
    implemented = {caller.name for caller in manager.get_hookcallers(module) or ()}
    plugin.watches = bool(implemented - REGISTRATION_HOOKS.keys())
    others = [other for other in manager.get_plugins() if other is not module]
    for hook_name, kind in REGISTRATION_HOOKS.items():
        caller = manager.subset_hook_caller(hook_name, others)
        for spec in (spec for specs in caller() for spec in specs):
            _check_spec(plugin, hook_name, spec, kind)
            plugin.components.append(Component(spec, plugin.distribution, plugin.version))


def _check_marked(module: Any) -> None:
    """Refuses what is called like a hook and would never be called as one."""
    for name, found in sorted(vars(module).items()):
        own = isinstance(found, types.FunctionType) and found.__module__ == module.__name__
        if name.startswith(f"{HOST}_") and own and not hasattr(found, f"{HOST}_impl"):
            raise TypeError(f"{name} lacks @hookimpl (from bdbench.api): it would not be called")


def _check_spec(
    plugin: LoadedPlugin, hook_name: str, spec: ComponentSpec, kind: type[ComponentSpec]
) -> None:
    if not isinstance(spec, kind):
        raise TypeError(f"{hook_name} gave {type(spec).__name__}, expected {kind.__name__}")
    for field_name, found in (("name", spec.name), ("target", spec.target)):
        if not isinstance(found, str):
            raise TypeError(f"{field_name} of a {kind.__name__} is {found!r}, expected text")
    if not all(part.isalnum() for part in spec.name.split("-")) or not spec.name.isascii():
        raise ValueError(f"component name {spec.name!r} is not in kebab-case (letters, digits, -)")
    if ":" not in spec.target:
        raise ValueError(f"target {spec.target!r} of {spec.name} is not 'package.module:Class'")
    if not is_supported(api_number(spec.api, spec.name)):
        reason = f"{spec.name} was written for API {spec.api}, this host has {API_VERSION}"
        plugin.refuse(PluginState.INCOMPATIBLE, reason)
        raise ValueError(reason)
    check_declared(spec, baseline=plugin.distribution == HOST)


def _claims(
    plugins: Sequence[LoadedPlugin], *, within: bool
) -> dict[tuple[str, str, str], list[LoadedPlugin]]:
    """Who claims each name: its plugin if within a distribution, kind and name."""
    claims: dict[tuple[str, str, str], list[LoadedPlugin]] = {}
    for plugin in plugins:
        for component in plugin.components:
            whose = plugin.distribution if within else ""
            key = (whose, component.spec.kind, component.spec.name)
            claims.setdefault(key, []).append(plugin)
    return {key: claimants for key, claimants in claims.items() if len(claimants) > 1}


def _refuse_twins(plugins: Sequence[LoadedPlugin]) -> list[LoadedPlugin]:
    """Refuses whoever claims a name more than once: its full name would not tell which."""
    refused = {}
    for (_, kind, name), claimants in _claims(plugins, within=True).items():
        points = sorted({plugin.entry_point for plugin in claimants})
        where = f", in its entry points {' and '.join(points)}" if len(points) > 1 else ""
        for plugin in claimants:
            plugin.refuse(PluginState.BROKEN, f"declares {kind} {name} twice{where}")
            refused[plugin.id] = plugin
    return list(refused.values())


def _mark_conflicts(plugins: Sequence[LoadedPlugin]) -> None:
    """Marks all that claim one name; each remains usable by its full name."""
    for (_, kind, name), claimants in _claims(plugins, within=False).items():
        full = ", ".join(sorted(f"{claimant.distribution}/{name}" for claimant in claimants))
        for claimant in claimants:
            claimant.refuse(PluginState.CONFLICT, f"the {kind} name {name!r} is claimed by {full}")
