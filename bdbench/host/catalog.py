"""The host: all components by name, resolved and configured."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from bdbench.api import hooks
from bdbench.api.errors import PluginError
from bdbench.api.specs import AttackSpec, ComponentSpec, DefenseSpec, DefenseStage, Surface
from bdbench.host.names import called, meant
from bdbench.host.plugins import (
    Component,
    Discovered,
    LoadedPlugin,
    PluginState,
    disabled_names,
    discover,
    load_plugins,
    unknown_names,
)
from bdbench.host.reasons import explained, reason_of

if TYPE_CHECKING:
    from bdbench.host.registry import Listed

__all__ = ["Host"]

PROTOCOL_METHODS = {
    Surface.DATA: "poison",
    Surface.PRETRAINED: "edit_pretrained",
    Surface.TRAINING: "train",
    Surface.WEIGHTS: "edit",
    DefenseStage.FILTER: "filter",
    DefenseStage.REPAIR: "repair",
    DefenseStage.SCREEN: "screen",
}


class Host:
    """Everything that is installed.

    Args:
        discovered: Plugins to load; by default all that are installed.
        disabled: Names of plugins not to import, besides ``BDBENCH_DISABLE_PLUGINS``.

    Attributes:
        plugins: Every entry point and what became of it.
        unknown: What to tell of names that disable nothing: none of the plugins is called so.
    """

    def __init__(
        self, discovered: Iterable[Discovered] | None = None, disabled: Iterable[str] = ()
    ) -> None:
        self._manager = pluggy.PluginManager("bdbench")
        self._manager.add_hookspecs(hooks)
        names = frozenset(disabled) | disabled_names()
        found = discover() if discovered is None else list(discovered)
        self.plugins: list[LoadedPlugin] = load_plugins(self._manager, found, names)
        self.unknown = unknown_names(self.plugins, names)
        self._components = [item for plugin in self.plugins for item in plugin.components]

    def components(self, kind: str | None = None) -> list[Component]:
        """All components, or those of one kind, by kind and name."""
        chosen = [item for item in self._components if kind in {None, item.spec.kind}]
        return sorted(chosen, key=lambda item: (item.spec.kind, item.spec.name, item.distribution))

    def find(self, kind: str, name: str, *, where: str = "") -> Component:
        """The component with a short or full name.

        Raises:
            PluginError: None or several have the name; the message says what to do.
        """
        of_kind = self.components(kind)
        matches = [item for item in of_kind if name in {item.spec.name, item.full_name}]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise PluginError(
                f"several plugins bring {_article(kind)} named {name!r}",
                where=where,
                found=", ".join(item.full_name for item in matches),
                expected="one of these full names",
                next=f"write {matches[0].full_name!r} instead of {name!r}",
            )
        raise self._unknown(kind, name, where, [item.spec.name for item in of_kind])

    def _unknown(self, kind: str, name: str, where: str, known: list[str]) -> PluginError:
        close = meant(name, known)
        what = f"no installed plugin brings {_article(kind)} named {name!r}"
        entry = next((item for item in known_plugins() if f"{kind}:{name}" in item.provides), None)
        if entry is None:
            if failed := self._failed_namesake(kind, name):
                return self._failed(
                    f"{what}: {failed.distribution}, which is called like it,", where, failed
                )
            return PluginError(
                what,
                where=where,
                found=repr(name),
                expected=f"one of {', '.join(sorted(set(known)))}" if known else "a plugin for it",
                next=f"write {' or '.join(map(repr, close))}"
                if close
                else f"see `bdbench list --kind {kind}`",
            )
        return self._not_brought(what, where, entry)

    def _not_brought(self, what: str, where: str, entry: Listed) -> PluginError:
        """What a listed plugin would bring, if it were installed and well."""
        # Only where something is missing: not every command needs to look at what is installed.
        from bdbench.host.mending import how_to_install  # noqa: PLC0415

        name = entry.distribution
        points = [item for item in self.plugins if called([item.distribution], [name])]
        usable = {PluginState.OK, PluginState.CONFLICT}
        failed = [item for item in points if item.state not in usable]
        if not points:
            return PluginError(
                what,
                where=where,
                expected=f"the plugin {name}, which brings it",
                next=how_to_install(entry),
            )
        if not failed:
            return PluginError(
                what,
                where=where,
                found=f"{name} {points[0].version}, which does not bring it",
                expected=f"version {entry.pin.version}" if entry.pin else "a version that does",
                next=how_to_install(entry),
            )
        return self._failed(f"{what}: {name}, which brings it,", where, failed[0])

    def _failed_namesake(self, kind: str, name: str) -> LoadedPlugin | None:
        """A plugin that is not well and is called what it would be to bring a component."""
        usable = {PluginState.OK, PluginState.CONFLICT}
        asked = [f"{kind}-{name.rpartition('/')[2]}", f"bdbench-{kind}-{name.rpartition('/')[2]}"]
        failed = (item for item in self.plugins if item.state not in usable)
        return next((item for item in failed if called(item.names, asked)), None)

    def _failed(self, what: str, where: str, plugin: LoadedPlugin) -> PluginError:
        """That a plugin which would bring something, or may, cannot be used."""
        from bdbench.host.mending import mending  # noqa: PLC0415 -- where something is missing only

        return PluginError(
            f"{what} is {plugin.state}",
            where=where,
            found=plugin.reason,
            next=mending(plugin),
        )

    def load_class(self, component: Component) -> type[Any]:
        """The component's class, imported now and checked against its spec.

        Raises:
            PluginError: The target cannot be imported, or lacks what the spec declares.
        """
        spec = component.spec
        found = self._load_target(component, spec.target)
        methods = declared_methods(spec)
        missing = [method for method in methods if not callable(getattr(found, method, None))]
        if not isinstance(found, type) or missing:
            raise PluginError(
                "the class does not implement what its spec declares",
                where=f"{component.full_name} ({spec.target})",
                found=f"no method {', '.join(missing)}"
                if isinstance(found, type)
                else type(found).__name__,
                expected=f"a class with {', '.join(methods)}" if methods else "a class",
                next="tell the plugin's authors",
            )
        return found

    def load_config(self, component: Component) -> type[Any] | None:
        """The component's configuration model; None if there is nothing to set."""
        target = component.spec.config
        return self._load_target(component, target) if target else None

    def _load_target(self, component: Component, target: str) -> Any:
        module_name, _, attribute = target.partition(":")
        try:
            # Whatever it prints meanwhile is no output of the command that is run.
            with contextlib.redirect_stdout(sys.stderr):
                return getattr(importlib.import_module(module_name), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(
                f"{target} cannot be imported",
                where=component.full_name,
                found=explained(error),
                next=f"reinstall {component.distribution}, or tell its authors",
            ) from error

    def notify(self, hook_name: str, event: Any) -> list[str]:
        """Tells every observer, in order of their names; returns what went wrong, as warnings."""
        warnings = []
        for plugin in self.plugins:
            module = self._manager.get_plugin(plugin.id)
            if module is None:
                continue
            others = [other for other in self._manager.get_plugins() if other is not module]
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    self._manager.subset_hook_caller(hook_name, others)(event=event)
            # An observer changes no result, and ends no run.
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001
                warnings.append(f"{plugin.id}: {hook_name}: {reason_of(error)}")
        return warnings

    def broken(self) -> list[LoadedPlugin]:
        """The plugins that a user should be warned of."""
        return [
            plugin
            for plugin in self.plugins
            if plugin.state not in {PluginState.OK, PluginState.DISABLED}
        ]

    def spec_of(self, kind: str, name: str) -> ComponentSpec:
        """The spec of a component, by name."""
        return self.find(kind, name).spec


def declared_methods(spec: ComponentSpec) -> list[str]:
    """The methods that a spec's class must have, beyond those of its kind's base."""
    if isinstance(spec, DefenseSpec):
        return [PROTOCOL_METHODS[stage] for stage in sorted(spec.stages)]
    if not isinstance(spec, AttackSpec):
        return []
    methods = [PROTOCOL_METHODS[surface] for surface in sorted(spec.surfaces)]
    methods += ["probe"] if spec.probes_victim else []
    return methods + (["variants"] if spec.makes_variants else [])


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def known_plugins() -> Sequence[Listed]:
    """The plugins of the registry, installed or not."""
    # Only where something is missing: not every command needs to read it.
    from bdbench.host.registry import load_registry  # noqa: PLC0415

    return load_registry().plugins
