"""A suite by the name of a preset or by path, with overrides from the command line."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from bdbench.api.errors import InputError
from bdbench.host.catalog import Host
from bdbench.host.plugins import Component
from bdbench.suite.local import use_local_copy
from bdbench.suite.reader import Document, parse_value, read_document
from bdbench.suite.schema import Suite, parse_suite, read_entry

__all__ = ["load_suite", "suite_file", "suite_files"]


def load_suite(
    name: str, host: Host, overrides: Sequence[str] = (), local: Sequence[str] = ()
) -> Suite:
    """Reads a suite and checks its form.

    Args:
        name: A preset's name, or the path of a YAML file.
        host: Knows the presets.
        overrides: ``key.key=value`` each; a position, or the name that tables use, picks from a
            list.
        local: ``name=folder`` each: a data set of the suite, and a copy of it on this machine.

    Raises:
        InputError: There is no such suite, or it does not fit, or there is no such copy.
        PluginError: No plugin brings such a preset.
    """
    path = Path(name)
    # Not every name with a slash: `distribution/name` is a preset's full name.
    is_file = path.suffix in {".yaml", ".yml"} or name.startswith((".", "/", "~"))
    if not is_file:
        path = suite_file(host, name)
    document = read_document(path, source=name if is_file else f"preset {name}")
    if not is_file:
        # A preset's relative paths are the user's, not the installed package's.
        document = replace(document, folder=Path.cwd())
    for text in local:
        use_local_copy(document, text)
    for override in overrides:
        _override(document, override)
    return parse_suite(document)


def suite_file(host: Host, name: str) -> Path:
    """The file of a preset.

    Raises:
        PluginError: No plugin brings it.
    """
    return _file_of(host.find("suite", name, where="suite"))


def suite_files(host: Host) -> list[Path]:
    """The files of all presets whose packages are there."""
    found = []
    for component in host.components("suite"):
        with suppress(InputError):
            found.append(_file_of(component))
    return found


def _file_of(component: Component) -> Path:
    package, _, file = component.spec.target.partition(":")
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise InputError(f"the package {package} cannot be found", where=component.full_name)
    return Path(next(iter(folders))) / file


def _override(document: Document, text: str) -> None:
    key, equals, value = text.partition("=")
    where = f"--set {text}"
    if not equals or not key:
        raise InputError(
            "an override does not fit",
            where=where,
            expected="key=value, for instance training.epochs=3",
            next="see `bdbench show --suite-keys` for the keys",
        )
    target, rest = document.data, key.split(".")
    while True:
        place, name = _position(document, target, rest, where)
        rest = rest[name.count(".") + 1 :]
        if not rest:
            break
        target = _descend(target, place)
    if isinstance(target, list) and not name.isdecimal():
        raise InputError(
            "an override names an entry, not a setting of it",
            where=where,
            expected=f"{key}.<setting>=value",
        )
    target[place] = parse_value(value, where)


def _descend(target: Any, place: Any) -> Any:
    if isinstance(target, list):
        return _settings(target, place)
    if target.get(place) is None:
        target[place] = {}
    return target[place]


def _settings(items: list[Any], place: int) -> Any:
    """The settings of an entry of a list, which may stand there as a bare name."""
    item = items[place]
    if isinstance(item, str):
        item = items[place] = {item: {}}
    if isinstance(item, dict) and (component := next((key for key in item if key != "name"), "")):
        if item[component] is None:
            item[component] = {}
        return item[component]
    return item


def _position(document: Document, target: Any, names: Sequence[str], where: str) -> tuple[Any, str]:
    """The key or position that a key goes on with, and as much of the key as names it."""
    name = names[0]
    if isinstance(target, dict):
        return name, name
    labels: list[str] = []
    if isinstance(target, list):
        if name.isdecimal() and int(name) < len(target):
            return int(name), name
        labels = [_label(document, item) for item in target]
        # What tables call it comes first; that may have dots in it (`merge-0.5`).
        longer = (".".join(names[:count]) for count in range(len(names), 0, -1))
        for label in longer:
            if label in labels:
                return labels.index(label), label
        for index, item in enumerate(target):
            if item == name or (isinstance(item, dict) and name != "name" and name in item):
                return index, name
    known = ", ".join(label for label in labels if label)
    raise InputError(
        "an override names something that the suite does not have",
        where=where,
        found=repr(name),
        expected=f"a position, or one of {known}" if known else "a key, or a position in a list",
        next="`bdbench show --suite-keys` lists the keys",
    )


def _label(document: Document, item: Any) -> str:
    """What tables call an entry of a list; empty for what is none."""
    items = item if isinstance(item, list) else [item]
    with suppress(InputError):
        return "+".join(read_entry(document, (), part).label for part in items)
    return ""
