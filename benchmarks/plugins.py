"""Times `bdbench plugins` with many plugins installed, as whole processes, in turn.

What is asked for is at most 1 s with 200 plugins, every file of which is hashed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGINS = 200

HOOKS = """\
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(name="fake-{number}", target="nowhere:Thing", summary="A fake.",
                        stages=frozenset({{DefenseStage.SCREEN}}))]
"""


def install(site: Path, number: int) -> None:
    """Writes what an installer would leave of a plugin."""
    package = f"bdbench_fake_{number}"
    info = f"{package}-1.0.dist-info"
    files = {
        f"{package}/__init__.py": "",
        f"{package}/hooks.py": HOOKS.format(number=number),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: bdbench-fake-{number}\nVersion: 1.0\n",
        f"{info}/entry_points.txt": f"[bdbench]\nfake-{number} = {package}.hooks\n",
    }
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.append(f"{name},sha256={digest.decode()},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def spend(environment: dict[str, str]) -> tuple[float, float, int]:
    """Seconds and seconds of processor that one call takes, and the lines that it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    call = [sys.executable, "-m", "bdbench", "plugins"]
    done = subprocess.run(call, env=environment, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used, len(done.stdout.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        for number in range(PLUGINS):
            install(Path(name), number)
        environments = {
            "as installed": dict(os.environ),
            f"with {PLUGINS} more": {**os.environ, "PYTHONPATH": name},
        }
        spent: dict[str, list[tuple[float, float, int]]] = {key: [] for key in environments}
        # One round more, not counted: the first compiles what is imported.
        for turn in range(rounds + 1):
            for key, environment in environments.items():
                found = spend(environment)
                if turn:
                    spent[key].append(found)
    for key, values in spent.items():
        walls, used, lines = zip(*values, strict=True)
        print(
            f"bdbench plugins, {key:<14} {lines[0]:>4} lines: median {statistics.median(walls):.2f}"
            f" s ({min(walls):.2f} to {max(walls):.2f}), "
            f"{statistics.median(used):.2f} CPU-seconds, of {rounds}"
        )


if __name__ == "__main__":
    main()
