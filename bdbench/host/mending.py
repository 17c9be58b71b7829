"""What to do about a plugin that is not installed, or is not well."""

from __future__ import annotations

from bdbench.api.version import API_VERSION
from bdbench.host.digest import HOST_DISTRIBUTION
from bdbench.host.installed import find_distribution, sources_of
from bdbench.host.plugins import LoadedPlugin, PluginState
from bdbench.host.registry import Listed, load_registry

__all__ = ["how_to_install", "mending"]


def how_to_install(entry: Listed) -> str:
    """How a listed plugin gets here: by name only if a wheel of it is published."""
    if entry.pin and entry.pin.sha256:
        return f"`bdbench plugins install {entry.name}`"
    place = f" from {entry.homepage}" if entry.homepage else ""
    return (
        f"`bdbench plugins install -e FOLDER|WHEEL` with its sources{place}, "
        "or with a wheel built from them"
    )


def mending(plugin: LoadedPlugin) -> str:
    """What to do about a plugin that is not ok."""
    name = plugin.distribution
    if plugin.state is PluginState.DISABLED:
        return f"take {name} out of BDBENCH_DISABLE_PLUGINS or --no-plugin"
    leave_out = f"BDBENCH_DISABLE_PLUGINS={name} leaves it out"
    if plugin.state is PluginState.CONFLICT:
        # Nothing runs without the host's own.
        other = "leave the other one out" if name == HOST_DISTRIBUTION else leave_out
        return f"write one of the full names, or {other}"
    if name == HOST_DISTRIBUTION:
        return "install bdbench again, with pip or uv"
    if plugin.state is PluginState.INCOMPATIBLE:
        return f"install a version of it for API {API_VERSION}, or {leave_out}"
    dist = find_distribution(name)
    folder = sources_of(dist) if dist else None
    entry = load_registry().entry(name)
    if folder:
        source = f"-e {folder}"
    elif entry and entry.pin and entry.pin.sha256:
        source = entry.name
    elif entry:
        source = "-e FOLDER|WHEEL"
    else:
        source = f"{name}=={plugin.version} --unlisted"
    return f"install it again (`bdbench plugins install {source}`), or {leave_out}"
