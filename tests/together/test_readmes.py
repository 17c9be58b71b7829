"""What a plugin's README shows as part of a suite is part of a suite that can be planned."""

import os
import re
from pathlib import Path

import pytest
import yaml

from bdbench.host.catalog import Host
from bdbench.suite.load import load_suite
from bdbench.suite.planning import build_plan
from bdbench.suite.resolve import resolve

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{readme.parent.name}-{number}")
    for readme in sorted(ROOT.glob("plugins/*/README.md"))
    for number, block in enumerate(FENCE.findall(readme.read_text("utf-8")))
]
REST = {
    "name": "readme",
    "datasets": ["sms-spam"],
    "models": ["tiny-bert"],
    "attacks": [{"badnets": {"target": "ham"}}],
    "defenses": ["none"],
}
"""What a block leaves to the reader."""


def strings(found):
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict | list):
        for part in found.values() if isinstance(found, dict) else found:
            yield from strings(part)


def supply(found, folder):
    """Lays down the files and folders that a block names: a plan digests what is there."""
    for text in strings(found):
        if text.startswith("./"):
            (folder / text).mkdir(exist_ok=True)
        elif text.endswith(".parquet"):
            (folder / text).parent.mkdir(parents=True, exist_ok=True)
            (folder / text).touch()


@pytest.fixture(scope="module")
def host():
    return Host()


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_a_suite_can_be_planned(block, host, tmp_path):
    found = yaml.safe_load(block)
    supply(found, tmp_path)
    rest = {key: value for key, value in REST.items() if key not in found}
    path = tmp_path / "suite.yaml"
    # The block as it stands: what the strict reader of suites refuses, nobody should copy.
    path.write_text(f"{block}\n{yaml.safe_dump(rest)}", "utf-8")
    plan = build_plan(resolve(load_suite(os.fspath(path), host), host))
    assert [cell.label for cell in plan.cells if cell.reason] == []


def test_every_plugin_is_looked_at():
    assert len(BLOCKS) >= len(list(ROOT.glob("plugins/*/README.md"))) > 0
