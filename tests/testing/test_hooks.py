"""Hooks that the host can load and cannot use."""

from __future__ import annotations

import pytest

from bdbench.testing.hooks import faults_of_plugin

HEAD = "from bdbench.api import hookimpl\n\n"


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("@hookimpl\ndef bdbench_register_attacks():\n    return []", []),
        ("@hookimpl\ndef bdbench_register_attacks():\n    yield from ()", []),
        ("@hookimpl\ndef bdbench_run_started(event):\n    pass", []),
        ("@hookimpl(wrapper=True)\ndef bdbench_run_started(event):\n    return (yield)", []),
        ("def bdbench_register_attacks():\n    pass", []),
        (
            "@hookimpl\ndef bdbench_register_attacks():\n    pass",
            ["bdbench_register_attacks returned None"],
        ),
        (
            "@hookimpl(specname='bdbench_register_models')\ndef mine():\n    pass",
            ["mine returned None"],
        ),
        (
            "@hookimpl(wrapper=True)\ndef bdbench_register_models():\n    return (yield)",
            ["bdbench_register_models is marked wrapper=True"],
        ),
        (
            "@hookimpl(hookwrapper=True)\ndef bdbench_run_started(event):\n    yield",
            ["bdbench_run_started is marked hookwrapper=True"],
        ),
    ],
)
def test_wrappers_and_forgotten_returns_are_found(fake_dist, source, faults):
    fake_dist("bdbench-hooked", HEAD + source)

    assert faults_of_plugin("bdbench-hooked") == faults
