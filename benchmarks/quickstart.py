"""Times the quickstart, cold in a new home and then again."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        for name in ("cold", "again"):
            began = time.perf_counter()
            call = [sys.executable, "-m", "bdbench", "run", "--home", home, "--display", "none"]
            result = subprocess.run(call, check=True, capture_output=True, text=True)
            print(f"quickstart {name}: {time.perf_counter() - began:.1f} s")
        print(result.stdout)


if __name__ == "__main__":
    main()
