"""Runs on disk: written whole at the end of a run, read by everything that shows results."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bdbench.api.errors import InputError
from bdbench.home import Home
from bdbench.results.records import CellRecord
from bdbench.results.render.markdown import MarkdownReporter

__all__ = [
    "RUN_FILE",
    "FinishedRun",
    "finished_runs",
    "latest_run",
    "read_comparison",
    "read_records",
    "write_run",
]

RUN_FILE = "run.json"
RECORDS_FILE = "records.jsonl"
COMPARISON_FILE = "leaderboard.json"
MARKDOWN_FILE = "leaderboard.md"
PAGE_FILE = "leaderboard.html"
RUN_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-")
"""How a run's own name begins, and the name of no suite."""
WRITING = ".writing-"
ABANDONED = 24 * 3600.0
"""Seconds after which nobody writes a run any more; it takes less than one."""


def write_run(
    folder: Path,
    records: Sequence[CellRecord],
    comparison: Mapping[str, Any],
    run: Mapping[str, Any],
) -> None:
    """Writes a run's folder; it appears whole or not at all."""
    # Templates are read at the import, and only whoever writes a run needs them.
    from bdbench.results.render.html.page import HtmlReporter  # noqa: PLC0415

    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{WRITING}*"):
        with contextlib.suppress(FileNotFoundError):  # its writer is done with it by now
            if left.stat().st_mtime < time.time() - ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=WRITING, dir=folder.parent))
    try:
        lines = "".join(f"{record.model_dump_json()}\n" for record in records)
        _write(temporary / RECORDS_FILE, lines)
        _write(temporary / COMPARISON_FILE, json.dumps(comparison, indent=1, allow_nan=False))
        _write(temporary / MARKDOWN_FILE, MarkdownReporter(None).render(comparison))
        _write(temporary / PAGE_FILE, HtmlReporter(None).render(comparison))
        _write(temporary / RUN_FILE, json.dumps(run, indent=1, allow_nan=False))
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class FinishedRun(NamedTuple):
    """A run on disk: its suite, its name, and its folder."""

    suite: str
    run_id: str
    folder: Path


def finished_runs(home: Home) -> list[FinishedRun]:
    """All runs, the newest first."""
    runs = []
    # What begins with a dot is half written.
    for path in home.runs.glob(f"[!.]*/{RUN_FILE}") if home.runs.is_dir() else []:
        run = json.loads(path.read_text("utf-8"))
        runs.append((run["finished"], FinishedRun(run["suite"], run["run_id"], path.parent)))
    return [run for _, run in sorted(runs, reverse=True)]


def latest_run(home: Home, suite: str | None = None) -> Path:
    """The folder of the newest run, of one suite or of any; a run's own name works too.

    Raises:
        InputError: There is none.
    """
    runs = finished_runs(home)
    for name, run_id, folder in runs:
        if suite in {None, name, run_id}:
            return folder
    names = [run.suite for run in runs]
    raise InputError(
        f"there is no run of {suite}" if suite else "there is no run yet",
        where=str(home.runs),
        found=f"runs of {', '.join(sorted(set(names)))}" if names else "no runs",
        next=_first(suite, others=bool(runs)),
    )


def _first(suite: str | None, *, others: bool) -> str:
    """What to do where there is no run of a suite, or of that name, or of any."""
    if suite is None:
        return "run `bdbench run` first"
    if RUN_NAME.match(suite):
        return "name one of the runs that are here" if others else "run `bdbench run` first"
    command = f"`bdbench run {shlex.quote(suite)}` first"
    return f"{command}, or name one of the runs that are here" if others else command


def read_comparison(folder: Path) -> dict[str, Any]:
    """The comparison of a run."""
    comparison: dict[str, Any] = json.loads((folder / COMPARISON_FILE).read_text("utf-8"))
    return comparison


def read_records(folder: Path) -> list[CellRecord]:
    """The records of a run, in the order of its suite."""
    # JSON leaves U+2028 and the like as they are, which `splitlines` takes for ends of lines.
    lines = (folder / RECORDS_FILE).read_text("utf-8").split("\n")
    return [CellRecord.model_validate_json(line) for line in lines if line]


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
