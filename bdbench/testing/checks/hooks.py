"""What a plugin's hooks are: plain functions that give what they are asked for."""

from __future__ import annotations

from bdbench.host.plugins import discover
from bdbench.testing.check import CheckSkipped, check
from bdbench.testing.hooks import faults_of_plugin
from bdbench.testing.subject import Subject


@check()
def hooks_are_plain(subject: Subject) -> None:
    """The plugin's hooks are no wrappers, and those that register return specs."""
    distribution = subject.component.distribution
    if not any(plugin.distribution == distribution for plugin, _ in discover()):
        raise CheckSkipped("it is not known which module declares it")
    faults = faults_of_plugin(distribution)
    if faults:
        subject.fail(
            "a hook is not what the host can use",
            found="; ".join(faults),
            expected="functions that return, under @hookimpl without options of wrappers",
        )
