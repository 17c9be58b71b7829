"""``bdbench doctor``: is everything in place?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata

import click
from packaging.requirements import Requirement

from bdbench.cli.exits import Exit
from bdbench.cli.options import as_json, common, echo_json, home_option, make_host
from bdbench.execution.sandbox.kinds import Isolation, available
from bdbench.home import Home, resolve_home
from bdbench.host.mending import mending
from bdbench.host.plugins import PluginState
from bdbench.results.render.cells import visible
from bdbench.suite.resolve import precision_of

__all__ = ["doctor"]

LOW_DISK_GIB = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: ``ok``, ``warning`` or ``failed``.
        found: What was there.
        next: What to do about it, if anything.
    """

    name: str
    state: str
    found: str
    next: str = ""


@click.command("doctor")
@home_option
@as_json
@common
def doctor(home: str | None, as_json: bool) -> int:  # noqa: FBT001 -- click passes options by name
    """Check this machine and this installation; exits with 4 if something must be mended."""
    place = resolve_home(home)
    looks: list[Callable[[], Iterator[Check]]] = [
        _python,
        _packages,
        _processor,
        _isolation,
        _plugins,
        lambda: _home(place),
        lambda: _store(place),
    ]
    checks = [check for look in looks for check in look()]
    if as_json:
        echo_json([asdict(check) for check in checks])
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            line = f"{check.state:<8} {check.name:<{width}}  {check.found}"
            click.echo(visible(line + (f". Next: {check.next}" if check.next else "")))
    failed = any(check.state == "failed" for check in checks)
    return Exit.BAD_INPUT if failed else Exit.OK


def _python() -> Iterator[Check]:
    good = sys.version_info >= (3, 11)
    yield Check(
        "python",
        "ok" if good else "failed",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "" if good else "use Python 3.11 or newer",
    )


def _packages() -> Iterator[Check]:
    """Every requirement of the host against what is installed."""
    for text in metadata.requires("bdbench") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Check(requirement.name, "failed", "not installed", f"pip install '{text}'")
            continue
        good = requirement.specifier.contains(version, prereleases=True)
        yield Check(
            requirement.name,
            "ok" if good else "failed",
            version,
            "" if good else f"pip install '{text}'",
        )


def _processor() -> Iterator[Check]:
    import torch  # noqa: PLC0415 -- the one command that asks torch what it can do

    cores = len(os.sched_getaffinity(0))
    devices = torch.cuda.device_count()
    yield Check("processors", "ok", f"{cores} cores, {devices} CUDA devices")
    fast = precision_of("auto") == "bf16"
    yield Check(
        "bf16",
        "ok",
        "training.precision: auto means bf16 here" if fast else "auto means fp32 here: slower",
    )


def _isolation() -> Iterator[Check]:
    """How well components can be kept from what they must not see."""
    machine = available()
    ranked = machine.strongest >= Isolation.LANDLOCK
    yield Check(
        "isolation",
        "ok" if ranked else "warning",
        f"{machine.strongest}"
        + "".join(f"; no {kind}: {why}" for kind, why in machine.refused.items()),
        "" if ranked else "results of this machine are shown, but not ranked",
    )


def _plugins() -> Iterator[Check]:
    for plugin in make_host(tell_broken=False).plugins:
        good = plugin.state in {PluginState.OK, PluginState.DISABLED}
        yield Check(
            f"plugin {plugin.distribution}",
            "ok" if good else "failed",
            plugin.reason or f"{plugin.version}: {plugin.brings}",
            "" if good else mending(plugin),
        )


def _home(home: Home) -> Iterator[Check]:
    folder = home.path
    while not folder.exists():
        folder = folder.parent
    writable = os.access(folder, os.W_OK)
    free = shutil.disk_usage(folder).free / 2**30
    state = "failed" if not writable else "warning" if free < LOW_DISK_GIB else "ok"
    yield Check(
        "home",
        state,
        f"{home.path}, {free:.0f} GiB free" + ("" if writable else ", not writable"),
        "" if state == "ok" else "choose another place with --home or BDBENCH_HOME",
    )


def _store(home: Home) -> Iterator[Check]:
    objects = sum(1 for _ in home.store.glob("objects/*/*")) if home.store.exists() else 0
    damaged = sum(1 for _ in home.store.glob("quarantine/*.why.txt"))
    # One folder for each destination, one file for each record.
    waiting = sum(path.is_file() for path in home.spool.glob("pending/*/*"))
    left = sum(1 for _ in home.store.glob("tmp/*"))
    yield Check(
        "store",
        "warning" if damaged else "ok",
        f"{objects} objects, {damaged} in quarantine, {left} unfinished"
        + (" (the next run removes what no other one works on)" if left else ""),
        f"look at {home.store / 'quarantine'}" if damaged else "",
    )
    yield Check(
        "mlflow spool",
        "ok" if not waiting else "warning",
        f"{waiting} records wait to be published",
        "bdbench ui publishes them" if waiting else "",
    )
