"""Finished runs for the commands that show them: which one is meant, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bdbench.api import InputError, Reporter
from bdbench.home import Home
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.results.render.cells import SCHEMA
from bdbench.results.runs import latest_run, read_comparison

__all__ = ["find_comparison", "make_reporter"]


def find_comparison(home: Home, name: str | None) -> tuple[Path, dict[str, Any]]:
    """The folder and the comparison of the newest run, of a suite or of any; or of one run.

    Raises:
        InputError: There is none, or another version of bdbench wrote it.
    """
    folder = latest_run(home, name)
    comparison = read_comparison(folder)
    if comparison.get("schema") != SCHEMA:
        raise InputError(
            "the comparison of this run is of another version of bdbench",
            where=str(folder),
            found=str(comparison.get("schema", "no schema")),
            expected=SCHEMA,
            next=f"`bdbench run` the suite {comparison.get('suite', '')} again: what is stored is "
            "not computed again",
        )
    return folder, comparison


def make_reporter(host: Host, name: str, settings: Mapping[str, Any], *, where: str) -> Reporter:
    """A reporter with settings.

    Raises:
        PluginError: There is no such reporter.
        InputError: A setting does not fit.
    """
    component = host.find("reporter", name, where=where)
    config = configure(host, component, settings, where=name)
    reporter: Reporter = host.load_class(component)(config)
    return reporter
