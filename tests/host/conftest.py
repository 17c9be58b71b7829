"""Fake distributions, found by real discovery."""

from __future__ import annotations

import pytest

from bdbench.host.catalog import Host
from bdbench.host.plugins import discover


@pytest.fixture
def install(fake_dist):
    """`fake_dist`, with an entry point that is not called what the distribution is called."""

    def install(distribution, hooks, *, version="1.0", **modules):
        module = f"{distribution.replace('-', '_')}.hooks"
        points = {f"{distribution}-hooks": module}
        return fake_dist(distribution, hooks, version=version, modules=modules, entry_points=points)

    return install


@pytest.fixture
def host_of():
    """A host that knows some distributions only, by real discovery."""

    def host_of(*distributions, disabled=()):
        found = [item for item in discover() if item[0].distribution in distributions]
        return Host(found, disabled)

    return host_of


@pytest.fixture
def defense_hooks():
    """The source of a hooks.py that registers one defense."""

    def defense_hooks(name, target="nowhere:Thing", extra=""):
        if "stages=" not in extra:
            extra = f"stages=frozenset({{DefenseStage.SCREEN}}), {extra}"
        return f"""
from bdbench.api import Access, DefenseSpec, DefenseStage, Needs, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(name={name!r}, target={target!r}, summary="A fake.", {extra})]
"""

    return defense_hooks
