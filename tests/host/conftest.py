"""Fake distributions, found by real discovery; requests to install them that go no further."""

from __future__ import annotations

import pytest

from bdbench.api import BdbenchError
from bdbench.host import install as installing
from bdbench.host.catalog import Host
from bdbench.host.installers import Installer
from bdbench.host.plugins import discover
from bdbench.host.registry import Registry


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


NAME = "bdbench-defense-fake"


def listed(**changes):
    """An entry of a registry as written; of the plugin that `make_wheel` makes."""
    return {
        "name": "defense-fake",
        "distribution": NAME,
        "tier": "community",
        "summary": "A fake.",
        "provides": ["defense:fake"],
        "license": "MIT",
        "api": ">=1.0,<2",
        "pin": {"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64]},
        **changes,
    }


def listing(*entries):
    """A registry of such entries."""
    return Registry.model_validate({"plugins": list(entries)})


@pytest.fixture
def entry():
    return listed


@pytest.fixture
def registry_of():
    return listing


@pytest.fixture
def no_installer(monkeypatch):
    """No test gets as far as calling pip or uv."""

    def call(self, command, folder):
        pytest.fail(f"called {command}")

    monkeypatch.setattr(Installer, "call", call)
    monkeypatch.setattr(
        "bdbench.host.install.find_installer", lambda wanted: Installer("pip", ["pip"])
    )


@pytest.fixture
def refuse(no_installer):
    """The refusal of a request, before anybody is asked."""

    def refuse(request, registry=None):
        with pytest.raises(BdbenchError) as caught:
            installing.install(
                request, registry or listing(listed()), lambda plan: pytest.fail("asked")
            )
        return caught.value

    return refuse


@pytest.fixture
def plan_of(no_installer):
    """The plan of a request that is not refused."""

    def plan_of(request, registry=None):
        plans = []
        done = installing.install(request, registry or listing(listed()), plans.append)
        # It was not agreed to.
        assert done is None
        return plans[0]

    return plan_of
