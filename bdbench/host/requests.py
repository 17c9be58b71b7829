"""What a user asks to be installed, and every reason to refuse it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from bdbench.api import hooks
from bdbench.api.errors import PluginError
from bdbench.api.version import API_VERSION
from bdbench.home import expanded
from bdbench.host.digest import HOST_DISTRIBUTION
from bdbench.host.files import sha256_of
from bdbench.host.installed import find_distribution, is_plugin
from bdbench.host.projects import read_project
from bdbench.host.registry import Listed, Needed, Pin, Registry
from bdbench.host.requirements import is_same_version, unmet
from bdbench.host.wheels import read_wheel

__all__ = ["Request", "Target", "check_requirements", "check_target", "find_target"]

DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        wanted: A name, ``name==version``, or with `editable` a path.
        editable: Whether `wanted` is a folder of sources or a wheel on this machine.
        unlisted: Whether a plugin may be installed that the registry does not know.
        sha256: The digest that the wheel must have; empty for one that is pinned, or any.
        installer: ``auto``, ``pip`` or ``uv``.
        find_links: Folders or pages where wheels lie.
        no_index: Whether to look nowhere else.
    """

    wanted: str
    editable: bool = False
    unlisted: bool = False
    sha256: str = ""
    installer: str = "auto"
    find_links: tuple[str, ...] = ()
    no_index: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a request leads to.

    Attributes:
        distribution: Its normalised name.
        version: Its version; empty for a folder of sources, which may change.
        entry: Its entry in the registry.
        sha256: Wheels that may be installed; none if nothing is known of them.
        files: Digests of what they install; none if nothing is known.
        needs: What is installed with it.
        wheel: A wheel on this machine.
        folder: A folder of sources.
        warnings: What a user should know before saying yes.
    """

    distribution: str
    version: str
    entry: Listed | None
    sha256: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    needs: tuple[Needed, ...] = ()
    wheel: Path | None = None
    folder: Path | None = None
    warnings: tuple[str, ...] = ()

    def requirements(self) -> list[str]:
        """The lines of a file of requirements."""
        hashes = "".join(f" --hash=sha256:{digest}" for digest in self.sha256)
        exact = f" @ {self.wheel.as_uri()}" if self.wheel else f"=={self.version}"
        return [
            f"{self.distribution}{exact}{hashes}",
            *(
                f"{need.distribution}=={need.version}"
                + "".join(f" --hash=sha256:{digest}" for digest in need.sha256)
                for need in self.needs
            ),
        ]


def find_target(request: Request, registry: Registry) -> Target:
    """What a request leads to.

    Raises:
        PluginError: It is not allowed, or leads nowhere.
        InputError: A wheel cannot be read, or a path is that of a user who is not known here.
    """
    if request.sha256 and not DIGEST.fullmatch(request.sha256):
        raise PluginError(
            "this is not a digest",
            where="--sha256",
            found=repr(request.sha256),
            expected="64 hexadecimal digits in small letters",
        )
    if request.editable:
        path = expanded(Path(request.wanted), "-e").absolute()
        target = _wheel(path, registry) if path.suffix == ".whl" else _folder(path, registry)
    else:
        target = _named(request, registry)
    check_target(target)
    return _held_against(request.sha256, target) if request.sha256 else target


def _held_against(sha256: str, target: Target) -> Target:
    """A target of which only the wheel with the digest that the user gave may be installed."""
    if sha256 not in target.sha256:
        raise PluginError(
            "a folder has no digest" if target.folder else "this is not the wheel of that digest",
            where=str(target.folder or target.wheel or target.distribution),
            found=f"--sha256 {sha256}",
            expected=" or ".join(target.sha256) or "a wheel",
        )
    return replace(target, sha256=(sha256,))


def _named(request: Request, registry: Registry) -> Target:
    wanted = request.wanted
    looks_local = "/" in wanted or "\\" in wanted or wanted.startswith((".", "~"))
    if (looks_local or wanted.endswith(".whl")) and "://" not in wanted:
        raise PluginError(
            "a path is not a plugin's name",
            where=wanted,
            expected="the name of a plugin, or -e before a folder or wheel on this machine",
            next=f"`bdbench plugins install -e {wanted}`",
        )
    name, version = _split(wanted)
    entry = registry.find(name)
    if entry is None:
        return _unlisted(request, canonicalize_name(name), version, registry)
    if entry.pin is None or not entry.pin.sha256:
        raise PluginError(
            "the registry lists this plugin, but pins no published wheel of it",
            where=entry.distribution,
            expected="a digest to hold what is downloaded against",
            next="`bdbench plugins install -e` with its sources or with a wheel built from them",
        )
    if version and not is_same_version(version, entry.pin.version):
        raise PluginError(
            "the registry pins another version",
            where=entry.distribution,
            found=version,
            expected=entry.pin.version,
            next=f"`bdbench plugins install {entry.name}`",
        )
    return Target(
        distribution=entry.distribution,
        version=entry.pin.version,
        entry=entry,
        sha256=tuple(entry.pin.sha256),
        files=tuple(entry.pin.files),
        # What is here already stays as it is.
        needs=tuple(need for need in entry.pin.needs if not find_distribution(need.distribution)),
    )


def _split(wanted: str) -> tuple[str, str]:
    """Name and exact version; nothing else of what installers understand is let through."""
    try:
        requirement = Requirement(wanted)
    except InvalidRequirement:
        requirement = None
    specifiers = list(requirement.specifier) if requirement else []
    exact = [item for item in specifiers if item.operator == "==" and "*" not in item.version]
    if (
        requirement is None
        or requirement.url
        or requirement.extras
        or requirement.marker
        or len(exact) != len(specifiers)
        or len(exact) > 1
    ):
        raise PluginError(
            "this is not a plugin's name",
            where="bdbench plugins install",
            found=repr(wanted),
            expected="NAME or NAME==VERSION",
            next="see `bdbench plugins search`",
        )
    return requirement.name, exact[0].version if exact else ""


def _unlisted(request: Request, name: str, version: str, registry: Registry) -> Target:
    # Before any way to install it is named, which would end here too.
    _refuse_what_is_no_plugin(name)
    close = registry.resembling(name)
    if not request.unlisted:
        known = f"did you mean {close.distribution}? " if close else ""
        command = f"bdbench plugins install {name}=={version or 'VERSION'} --unlisted"
        raise PluginError(
            "the registry does not list this plugin",
            where=name,
            expected="the name of a plugin that `bdbench plugins search` finds",
            next=f"{known}If you trust its authors with your files, `{command}`",
        )
    if not version:
        raise PluginError(
            "an unlisted plugin needs its exact version",
            where=name,
            expected=f"{name}==VERSION",
            next="look the version up where the plugin is published",
        )
    warnings = ["the registry does not list it: nobody is known to have looked at it"]
    if not request.sha256:
        warnings.append("no digest is known: whatever the index gives is installed (see --sha256)")
    if close:
        warnings.append(_resembles(name, close))
    return Target(
        distribution=name,
        version=version,
        entry=None,
        sha256=(request.sha256,) if request.sha256 else (),
        warnings=tuple(warnings),
    )


def _resembles(name: str, close: Listed) -> str:
    return f"its name {name} resembles {close.distribution}, which is another plugin"


def _wheel(path: Path, registry: Registry) -> Target:
    _check_published(path, registry)
    wheel = read_wheel(path)
    entry = registry.entry(wheel.distribution)
    warnings = []
    if entry is None:
        warnings.append("the registry does not list it: nobody is known to have looked at it")
        close = registry.resembling(wheel.distribution)
        warnings += [_resembles(wheel.distribution, close)] if close else []
    elif entry.pin is None:
        warnings.append("the registry lists it, but pins no version of it")
    elif not is_same_version(wheel.version, entry.pin.version):
        raise PluginError(
            "the registry pins another version",
            where=str(path),
            found=f"{wheel.distribution} {wheel.version}",
            expected=entry.pin.version,
            next="get the wheel of that version, or install its sources with -e",
        )
    else:
        _check_digest(path, wheel.sha256, wheel.files, entry.pin)
    if hooks.ENTRY_POINT_GROUP not in wheel.groups:
        raise _no_plugin(str(path))
    return Target(
        distribution=wheel.distribution,
        version=wheel.version,
        entry=entry,
        sha256=(wheel.sha256,),
        files=(wheel.files,),
        wheel=path,
        warnings=tuple(warnings),
    )


def _check_published(path: Path, registry: Registry) -> None:
    """A wheel that is called what is pinned, before anything in it is read: it may be damaged."""
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    # What it is not is told when it is read.
    except InvalidWheelFilename:
        return
    entry = registry.entry(name)
    pin = entry.pin if entry else None
    if pin and pin.sha256 and version == Version(pin.version) and path.is_file():
        _check_digest(path, sha256_of(path), "", pin)


def _check_digest(path: Path, sha256: str, files: str, pin: Pin) -> None:
    """A wheel against the pin: by its own digest, or where none is published by its files."""
    expected = pin.sha256 or pin.files
    found = sha256 if pin.sha256 else files
    if found not in expected:
        what = "sha256 of the wheel" if pin.sha256 else "digest of the wheel's files"
        raise PluginError(
            "this is not the wheel that the registry pins",
            where=str(path),
            found=f"{what} {found}",
            expected=" or ".join(expected),
            next="do not use it; get it again from where it is published",
        )


def _folder(path: Path, registry: Registry) -> Target:
    project = read_project(path)
    name = canonicalize_name(str(project["name"]))
    if hooks.ENTRY_POINT_GROUP not in project.get("entry-points", {}):
        raise _no_plugin(str(path))
    entry = registry.entry(name)
    close = registry.resembling(name)
    warnings = ["its build tool runs now, and the folder may change at any time"]
    if entry:
        warnings.append("it is named like a listed plugin; its files are not checked")
    warnings += [_resembles(name, close)] if close else []
    if "dependencies" in project.get("dynamic", []):
        warnings.append("its build tool says what it requires: whether that is here is not checked")
    target = Target(name, "", entry, folder=path, warnings=tuple(warnings))
    requirements = project.get("dependencies", [])
    if not isinstance(requirements, list) or not all(isinstance(one, str) for one in requirements):
        raise PluginError(
            "its dependencies are no list",
            where=str(path / "pyproject.toml"),
            found=repr(requirements),
            expected='dependencies = ["bdbench>=0.1", ...] under [project]',
            next="correct it",
        )
    check_requirements(target, requirements)
    return target


def _no_plugin(where: str) -> PluginError:
    return PluginError(
        "this is not a plugin of bdbench",
        where=where,
        found=f"no entry point in the group {hooks.ENTRY_POINT_GROUP!r}",
        expected="a distribution that bdbench would load",
        next="install it with pip or uv if you need it",
    )


def check_target(target: Target) -> None:
    """Refuses to move what is not a plugin, and plugins for another API.

    Raises:
        PluginError: Says which.
    """
    _refuse_what_is_no_plugin(target.distribution)
    if target.entry and not target.entry.supports(API_VERSION):
        raise PluginError(
            "this plugin is for another API of bdbench",
            where=target.distribution,
            found=f"API {API_VERSION} here",
            expected=target.entry.api,
            next="install the version of bdbench that it is for",
        )


def _refuse_what_is_no_plugin(distribution: str) -> None:
    installed = find_distribution(distribution)
    if distribution == HOST_DISTRIBUTION or (installed and not is_plugin(installed)):
        raise PluginError(
            "this is installed and is no plugin: it is not touched",
            where=distribution,
            found=f"version {installed.version}" if installed else "",
            expected="a plugin",
            next="use pip or uv, if you mean to change it",
        )


def check_requirements(target: Target, requirements: list[str]) -> None:
    """Refuses a plugin whose requirements do not hold here.

    Raises:
        PluginError: Names them.
    """
    besides = {need.distribution: need.version for need in target.needs}
    missing = unmet(requirements, besides)
    if missing:
        wanted = " ".join(f"'{text}'" for text, _ in missing)
        host = any(
            canonicalize_name(Requirement(text).name) == HOST_DISTRIBUTION
            for text, found in missing
            if found != "not a requirement that can be read"
        )
        raise PluginError(
            "what this plugin requires is not here, and is not installed with it",
            where=target.distribution,
            found=", ".join(f"{text} ({found})" for text, found in missing),
            expected="requirements that hold: no plugin moves bdbench or what it stands on",
            next="look for a version of the plugin that fits this bdbench"
            if host
            else f"install {wanted} yourself, if you trust it, and then the plugin",
        )
