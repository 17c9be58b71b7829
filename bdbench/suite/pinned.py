"""``plugins: pinned``: only plugins whose files are those that the registry pins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bdbench.host.plugins import LoadedPlugin, PluginState, disable, disabled_names, discover
from bdbench.host.registry import load_registry
from bdbench.host.verify import require_pinned
from bdbench.suite.reader import read_document

__all__ = ["PINNED", "check_before_import", "check_plugins"]

PINNED = "pinned"
OVERRIDE = "plugins="


def check_plugins(plugins: Iterable[LoadedPlugin], *, where: str) -> None:
    """Refuses imported plugins that are not pinned.

    All of them: whatever is imported can change whatever else is.

    Raises:
        PluginError: Names each, and why.
    """
    names = {item.distribution for item in plugins if item.state is not PluginState.DISABLED}
    require_pinned(names, load_registry(), where=where)


def check_before_import(suite: str, overrides: Sequence[str] = ()) -> None:
    """The same before anything of a plugin is imported, where the suite is a file.

    A preset lies in a plugin: whether it demands pinned plugins shows when they are imported.

    Raises:
        PluginError: The suite demands pinned plugins, and one is not.
        InputError: The file cannot be read.
    """
    wanted = _demand(suite)
    for text in overrides:
        if text.startswith(OVERRIDE):
            wanted = text.removeprefix(OVERRIDE)
    if wanted != PINNED:
        return
    found = [plugin for plugin, _ in discover()]
    disable(found, disabled_names())
    check_plugins(found, where=f"{suite}: plugins")


def _demand(suite: str) -> object:
    path = Path(suite)
    if path.suffix not in {".yaml", ".yml"} or not path.is_file():
        return None
    data = read_document(path, source=suite).data
    return data.get("plugins") if isinstance(data, dict) else None
