"""Installs and removes plugins, in the interpreter that runs bdbench.

`install` is the lowest function that installs: nothing below it decides, and every refusal lies on
its way. The wheel is got first, and only read; if its files, its requirements and its names are as
they should be, that very wheel is installed, and no other that an index may give the second time.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from bdbench.api import hooks
from bdbench.api.errors import PluginError
from bdbench.home import expanded
from bdbench.host.digest import HOST_DISTRIBUTION
from bdbench.host.files import sha256_of
from bdbench.host.installed import find_distribution, is_plugin
from bdbench.host.installers import (
    CHECKED,
    CONSTRAINTS,
    REQUIREMENTS,
    Installer,
    constraints,
    find_installer,
)
from bdbench.host.places import check_places
from bdbench.host.registry import Registry
from bdbench.host.requests import Request, Target, check_requirements, find_target
from bdbench.host.requirements import is_same_version, needed_by
from bdbench.host.verify import BAD, Verified, verify
from bdbench.host.wheels import Wheel, read_wheel

__all__ = ["Plan", "install", "uninstall"]

HEX = re.compile(r"\b[0-9a-f]{64}\b")
WHEELS = "wheels"
NO_WHEEL = re.compile(r"from versions: none|no usable wheels|no wheels", re.IGNORECASE)
"""What pip and uv say of a distribution of which there may be sources only."""
SAID = 1500
"""So many of the last characters that an installer said are shown when it failed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, to be agreed to.

    Attributes:
        target: What it is about.
        installed: The version that is there now, if any.
        requirements: What is given to the installer.
        fetch: The command line that gets the wheels, which are then looked at; empty where there is
            nothing to get.
        command: The installer's command line; both run in a temporary folder.
        warnings: What a user should know.
    """

    target: Target
    installed: str
    requirements: tuple[str, ...]
    fetch: tuple[str, ...]
    command: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def command_lines(self) -> tuple[str, ...]:
        """The commands as one would type them."""
        return tuple(shlex.join(command) for command in (self.fetch, self.command) if command)


Confirm = Callable[[Plan], bool]


def install(request: Request, registry: Registry, confirm: Confirm) -> Verified | None:
    """Installs a plugin, or refuses to.

    Args:
        request: What is asked for.
        registry: What is listed and pinned.
        confirm: Is shown the plan; nothing happens unless it gives True.

    Returns:
        What was installed, looked at once more; None if `confirm` did not agree.

    Raises:
        PluginError: It is not allowed, is not what is pinned, or the installer failed.
        InputError: A wheel cannot be read, or a path is that of a user who is not known here.
    """
    target = find_target(request, registry)
    installer = find_installer(request.installer)
    where = [*(["--no-index"] if request.no_index else [])]
    for links in request.find_links:
        # The installer runs in a folder of its own.
        local = expanded(Path(links), "--find-links")
        where += ["--find-links", str(local.absolute()) if local.exists() else links]
    wheels = Path(WHEELS)
    command = (
        # What their build tool needs is looked for there, too.
        installer.install_sources(target.folder, *where)
        if target.folder
        else installer.install(wheels)
    )
    fetch = (
        []
        if target.folder or target.wheel
        else installer.fetch(*where, hashed=bool(target.sha256), folder=wheels)
    )
    before = find_distribution(target.distribution)
    requirements = () if target.folder else tuple(target.requirements())
    plan = Plan(
        target,
        before.version if before else "",
        requirements,
        tuple(fetch),
        tuple(command),
        target.warnings,
    )
    if not confirm(plan):
        return None
    with tempfile.TemporaryDirectory(prefix="bdbench-install-") as name:
        folder = Path(name)
        _write_files(folder, plan)
        (folder / wheels).mkdir()
        files = target.files
        if not target.folder:
            if fetch:
                _call(installer, fetch, folder, target, request.find_links)
            found = [target.wheel] if target.wheel else installer.wheels(folder / wheels)
            checked = _checked(found, target)
            files = (checked[0].files,)
            lines = plan.requirements if target.wheel else map(_exactly, checked)
            (folder / CHECKED).write_text("".join(f"{line}\n" for line in lines), "utf-8")
        _call(installer, command, folder, target, request.find_links)
        return _installed(installer, folder, replace(target, files=files), registry)


def _exactly(wheel: Wheel) -> str:
    return f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.sha256}"


def _write_files(folder: Path, plan: Plan) -> None:
    names = {plan.target.distribution, *(need.distribution for need in plan.target.needs)}
    (folder / CONSTRAINTS).write_text(constraints(frozenset(names)), "utf-8")
    (folder / REQUIREMENTS).write_text("\n".join([*plan.requirements, ""]), "utf-8")


def _call(
    installer: Installer, command: list[str], folder: Path, target: Target, links: Iterable[str]
) -> None:
    done = installer.call(command, folder)
    if done.returncode:
        raise _failure(installer, done, target, links)


def _failure(
    installer: Installer,
    done: subprocess.CompletedProcess[str],
    target: Target,
    links: Iterable[str],
) -> PluginError:
    """Why an installer failed; a wrong digest is told with both."""
    pinned = {*target.sha256, *(digest for need in target.needs for digest in need.sha256)}
    others = [found for found in HEX.findall(done.stdout) if found not in pinned]
    if pinned and not re.search(r"hash", done.stdout, re.IGNORECASE):
        # uv unpacks while it reads: it stumbles over what is damaged before it has a digest.
        others = [found for found in _digests(target, links) if found not in pinned]
    if pinned and others:
        return PluginError(
            "the wheel is not the one that is pinned, and was not installed",
            where=target.distribution,
            found=f"sha256 {others[-1]}",
            expected=" or ".join(sorted(pinned)),
            next="do not use that wheel; tell the plugin's authors",
        )
    said = " ".join(done.stdout.split())
    no_wheel = NO_WHEEL.search(said) is not None
    return PluginError(
        f"{installer.name} did not install it; nothing was changed",
        where=target.distribution,
        found=said[-SAID:] or f"exit code {done.returncode}",
        next="perhaps its authors published its sources only, and no wheel: "
        "get them and use -e FOLDER"
        if no_wheel
        else "see whether name and version exist where you look for them (--find-links)",
    )


def _digests(target: Target, links: Iterable[str]) -> Iterator[str]:
    """The SHA-256 of each wheel of what was to be installed in folders on this machine."""
    wanted = {(target.distribution, Version(target.version))}
    wanted |= {(need.distribution, Version(need.version)) for need in target.needs}
    for path in (path for link in links for path in Path(link).expanduser().glob("*.whl")):
        with contextlib.suppress(InvalidWheelFilename):
            name, version, _, _ = parse_wheel_filename(path.name)
            if (name, version) in wanted:
                yield sha256_of(path)


def _checked(paths: Iterable[Path], target: Target) -> list[Wheel]:
    """The wheels to install, read before they go where Python would import them; target first."""
    wheels = [read_wheel(path) for path in paths]
    expected = {target.distribution: target.version}
    expected |= {need.distribution: need.version for need in target.needs}
    found = {wheel.distribution: wheel.version for wheel in wheels}
    if len(wheels) != len(expected) or any(
        not is_same_version(found.get(name, ""), version) for name, version in expected.items()
    ):
        raise PluginError(
            "the installer got something else, and nothing was installed",
            where=target.distribution,
            found=", ".join(f"{wheel.distribution} {wheel.version}" for wheel in wheels),
            expected=", ".join(f"{name} {version}" for name, version in expected.items()),
            next="see what is published under that name",
        )
    wheels.sort(key=lambda wheel: wheel.distribution != target.distribution)
    wheel = wheels[0]
    if hooks.ENTRY_POINT_GROUP not in wheel.groups:
        raise PluginError(
            "this is not a plugin of bdbench, and was not installed",
            where=target.distribution,
            found="no entry point of bdbench's",
            expected="a distribution that bdbench would load",
        )
    for item in wheels:
        check_places(item)
        check_requirements(replace(target, distribution=item.distribution), list(item.requires))
    if target.files and wheel.files not in target.files:
        raise PluginError(
            "its files are not those that are pinned, and were not installed",
            where=target.distribution,
            found=wheel.files,
            expected=" or ".join(target.files),
            next="do not use that wheel; tell the plugin's authors",
        )
    return wheels


def _installed(installer: Installer, folder: Path, target: Target, registry: Registry) -> Verified:
    importlib.invalidate_caches()
    dist = find_distribution(target.distribution)
    version = dist.version if dist else ""
    if dist is None or (target.version and not is_same_version(version, target.version)):
        raise PluginError(
            "the installer ended well, but the plugin is not here",
            where=target.distribution,
            found=f"version {version}" if dist else "nothing",
            expected=target.version or "an installation",
            next="see whether settings of pip or uv lead elsewhere",
        )
    result = verify(dist, registry)
    wrong = target.files and result.files not in target.files
    if result.integrity in BAD or wrong:
        done = installer.call(installer.uninstall(target.distribution), folder)
        raise PluginError(
            "what was installed is not what was looked at"
            + ("" if done.returncode else ", and was removed again"),
            where=target.distribution,
            found="; ".join(result.details[:3]) or result.files,
            expected=" or ".join(target.files),
            next=f"`bdbench plugins uninstall {target.distribution}`"
            if done.returncode
            else "see whether something else changes files of this environment",
        )
    return result


def uninstall(
    name: str,
    registry: Registry,
    confirm: Callable[[Mapping[str, str], str], bool],
    installer: str = "auto",
) -> bool:
    """Removes a plugin.

    Args:
        name: Of its distribution, or as the registry calls it.
        registry: What is listed.
        confirm: Is shown name and version, and the command; nothing happens unless it gives True.
        installer: ``auto``, ``pip`` or ``uv``.

    Returns:
        Whether it was removed.

    Raises:
        PluginError: It is not installed, is no plugin, others need it, or the installer failed.
    """
    entry = None if find_distribution(name) else registry.find(name)
    distribution = entry.distribution if entry else canonicalize_name(name)
    dist = find_distribution(distribution)
    if dist is None:
        raise PluginError("it is not installed", where=distribution, next="see `bdbench plugins`")
    if distribution == HOST_DISTRIBUTION or not is_plugin(dist):
        raise PluginError(
            "this is no plugin: it is not touched",
            where=distribution,
            expected="a plugin of `bdbench plugins`",
            next="use pip or uv, if you mean to remove it",
        )
    if others := needed_by(distribution):
        raise PluginError(
            "other packages need it",
            where=distribution,
            found=", ".join(others),
            next="remove those first",
        )
    chosen = find_installer(installer)
    command = chosen.uninstall(distribution)
    if not confirm({"distribution": distribution, "version": dist.version}, shlex.join(command)):
        return False
    # Not where the user is: modules and settings that lie there are none of pip's and uv's.
    with tempfile.TemporaryDirectory(prefix="bdbench-uninstall-") as folder:
        done = chosen.call(command, Path(folder))
    importlib.invalidate_caches()
    left = find_distribution(distribution)
    # An environment that this one is built upon may have it too.
    if done.returncode or (left and left.locate_file("") == dist.locate_file("")):
        raise PluginError(
            f"{chosen.name} did not remove it",
            where=distribution,
            found=" ".join(done.stdout.split())[-SAID:],
            next=f"`{shlex.join(command)}` yourself",
        )
    return True
