"""The broken plugins are on the path for the tests here, and for no others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BROKEN = Path(__file__).parent / "broken"


@pytest.fixture(scope="session")
def broken():
    """The broken plugins' components by name, found by real discovery."""
    from bdbench.testing.running import components_of

    sys.path.insert(0, str(BROKEN))
    names = ("bdbench-broken", "bdbench-forgetful", "bdbench-wrapping")
    yield {item.spec.name: item for name in names for item in components_of(name)}
    sys.path.remove(str(BROKEN))
