"""The checks that every plugin of bdbench passes."""

from __future__ import annotations

from bdbench.testing import parametrize_with_checks


@parametrize_with_checks("bdbench-defense-pruning")
def test_conformance(check):
    check()
