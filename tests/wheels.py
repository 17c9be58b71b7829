"""Builds every distribution, installs the wheels into a clean environment, and uses them there.

Not collected by pytest: `tox -e wheel` runs it, from a folder without any of the sources.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SUITE = """\
name: wheels
datasets: [sms-spam]
models: [tiny-bert]
attacks:
  - insertsent: {target: ham}
defenses: [merge]
defender: {clean_rows: 8, references: [control]}
training: {epochs: 1, precision: fp32}
limit: 60
"""


def call(*command: str | Path) -> str:
    print("+", *command, flush=True)
    words = list(map(str, command))
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(root: Path, work: Path) -> None:
    """Builds, installs, lists, plans and runs."""
    wheels = work / "wheels"
    sources = [root, *sorted(path.parent for path in root.glob("plugins/*/pyproject.toml"))]
    for source in sources:
        call(sys.executable, "-m", "build", "--no-isolation", "--outdir", wheels, source)
    environment = work / "venv"
    call("uv", "venv", "--clear", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    found = sorted(wheels.glob("*.whl"))
    assert len(found) == len(sources), found
    call("uv", "pip", "install", "--python", python, *found)

    bdbench = environment / "bin" / "bdbench"
    where = call(python, "-c", "import bdbench; print(bdbench.__file__)").strip()
    assert where.startswith(str(environment)), where
    plugins = json.loads(call(bdbench, "plugins", "--json"))
    assert {plugin["state"] for plugin in plugins} == {"ok"}, plugins
    assert {plugin["distribution"] for plugin in plugins} >= {path.name for path in sources[1:]}
    call(bdbench, "run", "--plan")
    suite = work / "suite.yaml"
    suite.write_text(SUITE, "utf-8")
    home = work / "home"
    comparison = json.loads(call(bdbench, "run", suite, "--home", home, "--json"))
    assert [row["status"] for row in comparison["rows"]] == [{"success": 1}] * 4, comparison
    print(f"{len(found)} wheels built, installed and used: 1 passed, 0 failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
