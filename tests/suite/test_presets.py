"""Presets call the same thing by the same name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bdbench.suite import presets
from bdbench.suite.reader import read_document
from bdbench.suite.schema import parse_suite

PRESETS = sorted(Path(presets.__file__).parent.glob("*.yaml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_the_number_in_the_name_of_a_merge_is_that_of_its_partners(path):
    suite = parse_suite(read_document(path, source=path.name))
    parts = [part for _, composition in suite.defenses for part in composition]
    numbered = {
        part.label: int(part.label.rpartition("-")[2])
        for part in parts
        if part.component == "merge" and re.search(r"-\d+$", part.label)
    }

    partners = {part.label: part.config.get("references") for part in parts}
    assert numbered == {label: partners[label] for label in numbered}
    # What is said of them above is said by the same names.
    told = set(re.findall(r"\b(?:wag|ties|dare)-\d+\b", path.read_text("utf-8")))
    assert told <= set(numbered)
