"""Fake distributions: found by real discovery, without being installed."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["FakeDistributions"]


class FakeDistributions:
    """Writes distributions (a package, and its ``*.dist-info``) and puts them on the path.

    Args:
        folder: Where they are written.
        prepend: Puts a folder in front of ``sys.path``, for as long as it should be there.
    """

    def __init__(self, folder: Path, prepend: Callable[[str], None]) -> None:
        self._folder = folder
        self._prepend = prepend
        self._numbers = itertools.count()
        self._packages: set[str] = set()

    def __call__(
        self,
        name: str,
        hooks: str,
        *,
        version: str = "1.0",
        modules: Mapping[str, str] | None = None,
        entry_points: Mapping[str, str] | None = None,
    ) -> Path:
        """Makes a distribution, in front of all others.

        Args:
            name: The distribution's; its package has the same with underscores.
            hooks: The source of its ``hooks.py``.
            version: Its version.
            modules: The sources of further modules, by name.
            entry_points: In the group ``bdbench``, by name; by default one for ``hooks.py``,
                named as the distribution without ``bdbench-``.

        Returns:
            The package's folder.
        """
        package = name.replace("-", "_")
        self._packages.add(package)
        site = self._folder / f"site-{next(self._numbers)}"
        folder = site / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        for module, source in {"hooks": hooks, **(modules or {})}.items():
            (folder / f"{module}.py").write_text(source, "utf-8")
        info = site / f"{package}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8"
        )
        points = entry_points or {name.removeprefix("bdbench-"): f"{package}.hooks"}
        lines = "".join(f"{key} = {value}\n" for key, value in points.items())
        (info / "entry_points.txt").write_text(f"[bdbench]\n{lines}", "utf-8")
        self._prepend(str(site))
        importlib.invalidate_caches()
        return folder

    def forget(self) -> None:
        """Lets Python forget the modules that came from here."""
        for module in list(sys.modules):
            if module.partition(".")[0] in self._packages:
                del sys.modules[module]
        importlib.invalidate_caches()
