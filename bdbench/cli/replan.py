"""A finished run's suite, to be planned again."""

from __future__ import annotations

import json
from pathlib import Path

from bdbench.host.catalog import Host
from bdbench.results.runs import RUN_FILE
from bdbench.suite.reader import Document
from bdbench.suite.resolve import ResolvedSuite, resolve
from bdbench.suite.schema import parse_suite

__all__ = ["suite_of"]


def suite_of(folder: Path, host: Host) -> ResolvedSuite:
    """The suite that a run was of, from its own record, under the plugins as they are now.

    Raises:
        BdbenchError: A plugin or a file that it names is not here, or no longer takes its settings.
    """
    document = json.loads((folder / RUN_FILE).read_text("utf-8"))["document"]
    return resolve(parse_suite(Document(f"{folder.name}/{RUN_FILE}", folder, document)), host)
