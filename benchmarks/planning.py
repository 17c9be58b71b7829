"""Plans a suite of 100,000 cells: seconds and peak memory."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

SUITE = """\
name: large
seeds: [{seeds}]
datasets: [sms-spam]
models: [tiny-bert]
attacks:
{attacks}
defenses:
{defenses}
"""


def write_suite(folder: Path, attacks: int, defenses: int, seeds: int) -> Path:
    lines = [
        f"  - badnets: {{poison_rate: {0.05 + row / 1000}, target: ham}}\n    name: attack-{row}"
        for row in range(attacks - 1)
    ]
    shields = [
        f"  - merge: {{method: task-arithmetic, scale: {1 + row / 1000}}}\n    name: merge-{row}"
        for row in range(defenses - 1)
    ]
    path = folder / "large.yaml"
    numbers = ", ".join(map(str, range(seeds)))
    text = SUITE.format(seeds=numbers, attacks="\n".join(lines), defenses="\n".join(shields))
    path.write_text(text, "utf-8")
    return path


def main() -> None:
    from bdbench.host.catalog import Host
    from bdbench.suite.load import load_suite
    from bdbench.suite.planning import build_plan
    from bdbench.suite.resolve import resolve

    with tempfile.TemporaryDirectory() as folder:
        path = write_suite(Path(folder), attacks=100, defenses=100, seeds=10)
        began = time.perf_counter()
        host = Host()
        plan = build_plan(resolve(load_suite(str(path), host), host))
        missing = plan.missing(set())
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(plan.cells)} cells, {len(plan.stages)} stages, {len(missing)} to run")
    print(f"{seconds:.1f} s, peak memory {peak:.0f} MiB", file=sys.stdout)


if __name__ == "__main__":
    main()
