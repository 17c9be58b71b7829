"""Strangers' plugins in a clean environment, from wheels alone.

Not collected by pytest: `tox -e wheel` runs ``python tests/strangers ROOT WORK``. Each step is a
function whose name says what it shows; every command stands in the log.
"""

# ruff: noqa: T201 -- a script: what it prints is its log
from __future__ import annotations

import sys
import time
from pathlib import Path

import bad
import good
from place import Place


def main(root: Path, work: Path) -> None:
    """Takes all steps; the first that fails ends it."""
    place = Place(root, work)
    steps = (*good.STEPS, *bad.STEPS)
    for step in steps:
        print(f"{step.__name__.replace('_', ' ')} ...", flush=True)
        began = time.perf_counter()
        step(place)
        print(f"  {time.perf_counter() - began:.1f} s", flush=True)
    print(f"{len(steps)} passed, 0 failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
