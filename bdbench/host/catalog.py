"""The host: all components by name, resolved and configured."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import pluggy
import yaml

from bdbench.api import hooks
from bdbench.api.errors import PluginError
from bdbench.api.specs import AttackSpec, ComponentSpec, DefenseSpec, DefenseStage, Surface
from bdbench.host.plugins import (
    Component,
    Discovered,
    LoadedPlugin,
    PluginState,
    disabled_names,
    discover,
    load_plugins,
)

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
    """

    def __init__(
        self, discovered: Iterable[Discovered] | None = None, disabled: Iterable[str] = ()
    ) -> None:
        self._manager = pluggy.PluginManager("bdbench")
        self._manager.add_hookspecs(hooks)
        self.disabled = frozenset(disabled) | disabled_names()
        found = discover() if discovered is None else list(discovered)
        self.plugins: list[LoadedPlugin] = load_plugins(self._manager, found, self.disabled)
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
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        what = f"no installed plugin brings {_article(kind)} named {name!r}"
        entry = next(
            (item for item in known_plugins() if f"{kind}:{name}" in item.get("provides", [])), None
        )
        if entry is None:
            return PluginError(
                what,
                where=where,
                found=repr(name),
                expected=f"one of {', '.join(sorted(set(known)))}" if known else "a plugin for it",
                next=f"write {close[0]!r}" if close else f"see `bdbench list --kind {kind}`",
            )
        distribution = str(entry["distribution"])
        installed = [item for item in self.plugins if item.distribution == distribution]
        if not installed:
            return PluginError(
                what,
                where=where,
                expected=f"the plugin {distribution}, which brings it",
                next=f"install it with `pip install {distribution}`",
            )
        return PluginError(
            f"{what}: {distribution}, which brings it, is {installed[0].state}",
            where=where,
            found=installed[0].reason,
            next="see `bdbench plugins`",
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
                found=f"no method {', '.join(missing)}" if missing else type(found).__name__,
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
            return getattr(importlib.import_module(module_name), attribute)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{target} cannot be imported",
                where=component.full_name,
                found=f"{type(error).__name__}: {error}",
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
                self._manager.subset_hook_caller(hook_name, others)(event=event)
            # An observer changes no result, and ends no run.
            except (Exception, SystemExit) as error:  # noqa: BLE001
                warnings.append(f"{plugin.id}: {hook_name}: {type(error).__name__}: {error}")
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


@cache
def known_plugins() -> tuple[Mapping[str, Any], ...]:
    """The entries of ``registry.yaml``: plugins that exist, installed or not."""
    package = Path(__file__).parents[1]
    # In a wheel the registry lies inside the package, in a checkout beside it.
    for path in (package / "registry.yaml", package.parent / "registry.yaml"):
        if path.is_file():
            return tuple(yaml.safe_load(path.read_text("utf-8"))["plugins"])
    return ()
