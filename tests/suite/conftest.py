"""Suites from their text."""

from __future__ import annotations

import pytest

from bdbench.suite.reader import read_document
from bdbench.suite.schema import parse_suite


@pytest.fixture
def parse(tmp_path):
    """A suite from its text, read as the file ``suite.yaml``."""

    def parse(text):
        path = tmp_path / "suite.yaml"
        path.write_text(text, "utf-8")
        return parse_suite(read_document(path, source="suite.yaml"))

    return parse
