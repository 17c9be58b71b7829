"""Times the commands that must answer at once, as whole processes, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = (["--help"], ["list"], ["plugins"], ["run", "--plan"])
ROUNDS = 10


def main() -> None:
    seconds: dict[str, list[float]] = {" ".join(command): [] for command in COMMANDS}
    # One round more, not counted: the first reads files from disk.
    for turn in range(ROUNDS + 1):
        for command in COMMANDS:
            began = time.perf_counter()
            call = [sys.executable, "-m", "bdbench", *command]
            subprocess.run(call, check=True, capture_output=True)
            if turn:
                seconds[" ".join(command)].append(time.perf_counter() - began)
    for name, times in seconds.items():
        print(
            f"bdbench {name:<12} median {statistics.median(times):.2f} s, "
            f"{min(times):.2f} to {max(times):.2f} s of {ROUNDS}"
        )


if __name__ == "__main__":
    main()
