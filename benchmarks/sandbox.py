"""What it takes to start a confined worker from a warm parent, and to be rid of it.

Of each kind in turn: from the fork to the first line of the call, and from the fork until the
warm parent has the end of the worker. A bare fork that does nothing is the floor.

    python benchmarks/sandbox.py [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

KINDS = ("fork", "process", "landlock", "namespace")


def main(rounds: int) -> None:
    import bdbench.execution.warm  # noqa: F401
    from bdbench.execution.sandbox import Isolation, available
    from bdbench.execution.sandbox.visible import installation

    installation()
    kinds = [name for name in KINDS if name == "fork" or available().can(Isolation(name))]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    # One round more, not counted: the first touches what was never used.
    for turn in range(rounds + 1):
        for name in kinds:
            seconds = launch(name)
            if turn:
                times[name].append(seconds)
    for name, pairs in times.items():
        started, ended = ([pair[place] * 1000 for pair in pairs] for place in (0, 1))
        print(
            f"{name:<10} call after {statistics.median(started):5.1f} ms "
            f"({min(started):.1f}-{max(started):.1f}), "
            f"gone after {statistics.median(ended):5.1f} ms ({min(ended):.1f}-{max(ended):.1f}) "
            f"of {rounds}"
        )


def launch(name: str) -> tuple[float, float]:
    from bdbench.execution.sandbox import Isolation, Jail, Limits, run_confined

    with tempfile.TemporaryDirectory() as folder:
        jail = Jail(Path(folder))
        jail.create()
        ours, theirs = os.pipe()
        began = time.perf_counter()
        child = os.fork()
        if child == 0:
            if name == "fork":
                os.write(theirs, b"x")
            else:
                kind = Isolation(name)
                run_confined(
                    kind, jail, lambda _: os.write(theirs, b"x"), Limits(60), keep=(theirs,)
                )
            os._exit(0)
        os.close(theirs)
        if not os.read(ours, 1):
            raise RuntimeError(f"{name}: the call did not run; see what is printed above")
        started = time.perf_counter() - began
        os.waitpid(child, 0)
        ended = time.perf_counter() - began
        os.close(ours)
    return started, ended


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
