"""Finished runs for the commands that show them: which one is meant, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bdbench.api import InputError, Reporter
from bdbench.home import Home
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.results.render.cells import SCHEMA
from bdbench.results.runs import RUN_FILE, latest_run, read_comparison
from bdbench.suite.reader import Document
from bdbench.suite.resolve import ResolvedSuite, resolve
from bdbench.suite.schema import parse_suite

__all__ = ["find_comparison", "make_reporter", "suite_of"]


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


def suite_of(folder: Path, host: Host) -> ResolvedSuite:
    """The suite that a run was of, from its own record, under the plugins as they are now.

    Raises:
        BdbenchError: A plugin or a file that it names is not here, or no longer takes its settings.
    """
    document = json.loads((folder / RUN_FILE).read_text("utf-8"))["document"]
    return resolve(parse_suite(Document(f"{folder.name}/{RUN_FILE}", folder, document)), host)


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
