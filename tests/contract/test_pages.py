"""What pages say by hand is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bdbench.builtin.datasets_config import FilesConfig, HubDatasetConfig

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("entry", "config", "shown"),
    [
        ("`files: {", FilesConfig, set()),
        # These two are in the entry's own name.
        ("`hf:org/name@revision: {", HubDatasetConfig, {"name", "revision"}),
    ],
    ids=["files", "hub"],
)
def test_the_page_on_suites_names_every_key_of_a_data_set(entry, config, shown):
    lines = (DOCS / "suites.md").read_text("utf-8").splitlines()
    (row,) = (line for line in lines if line.startswith(f"| {entry}"))

    keys = set(re.search(r"{(.+?)}", row)[1].split(", "))
    assert keys == set(config.model_fields) - shown
