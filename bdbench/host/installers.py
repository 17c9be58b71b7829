"""pip and uv: the command lines for the interpreter that runs bdbench, and how they are called."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from bdbench.api.errors import PluginError
from bdbench.host.installed import distributions, stated
from bdbench.host.wheels import pack

__all__ = [
    "CHECKED",
    "CONSTRAINTS",
    "REQUIREMENTS",
    "Installer",
    "constraints",
    "find_installer",
]

REQUIREMENTS = "plugin.txt"
CHECKED = "checked.txt"
CONSTRAINTS = "installed.txt"

WHERE = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host"),
    *("cert", "client-cert", "proxy", "timeout", "retries", "keyring-provider"),
)
"""The settings of pip that say where to ask and how; all others would change what is installed."""
KEPT = frozenset(
    {
        *(f"PIP_{name.upper().replace('-', '_')}" for name in WHERE),
        *("PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_NO_BUILD_ISOLATION"),
        *("PIP_BREAK_SYSTEM_PACKAGES", "PIP_REQUIRE_VIRTUALENV"),
    }
)
"""pip's variables that count: where to ask, and what neither adds nor leads elsewhere."""
NOT_OURS = frozenset(
    {
        *("UV_NO_VERIFY_HASHES", "UV_NO_BINARY", "UV_OVERRIDE", "UV_SYSTEM_PYTHON", "UV_PYTHON"),
        # What it unpacked is read there.
        "UV_NO_CACHE",
    }
)
"""uv's variables that would install elsewhere, something else, or without a look at digests."""

PIP_TO_UV = {
    "PIP_INDEX_URL": "UV_INDEX_URL",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_NO_INDEX": "UV_NO_INDEX",
}
"""uv does not read pip's settings; which index to ask is the same question for both."""
SETTING = re.compile(r"(?P<section>[\w:.-]+?)\.(?P<name>[a-z-]+)=(?P<value>'.*'|\".*\")")


class Installer:
    """pip or uv.

    Args:
        name: ``pip`` or ``uv``.
        program: How it is called.
    """

    def __init__(self, name: str, program: Sequence[str]) -> None:
        self.name = name
        self.program = tuple(program)

    def fetch(self, *where: str, hashed: bool, folder: Path) -> list[str]:
        """The command that gets the wheels of what stands in a file of requirements.

        Wheels only, and nothing that they require. pip puts them into the folder; uv, which cannot
        get without installing, unpacks them below it, and `wheels` packs them again.
        """
        if self.name == "uv":
            command = [*self._command("install"), "--link-mode", "copy"]
            command += ["--cache-dir", str(folder / "cache"), "--target", str(folder / "unpacked")]
        else:
            command = [*self._command("download"), "--dest", str(folder)]
        command += ["--only-binary", ":all:", "--no-deps"]
        if hashed:
            command.append("--require-hashes")
        command += ["--constraint", CONSTRAINTS, "--requirement", REQUIREMENTS]
        return [*command, *where]

    def wheels(self, folder: Path) -> list[Path]:
        """The wheels that `fetch` got into a folder."""
        if self.name == "uv":
            for unpacked in sorted((folder / "cache").glob("archive-*/*")):
                pack(unpacked, folder)
        return sorted(folder.glob("*.whl"))

    def install(self, folder: Path) -> list[str]:
        """The command that installs what stands in a file of requirements, from a folder.

        Nothing that it requires: the host's own version and what it stands on cannot move.
        """
        command = [*self._command("install"), "--only-binary", ":all:", "--no-deps"]
        if self.name == "uv":
            # uv links files to its cache, where what is edited in an environment is edited too,
            # and takes what it once unpacked without a second look at its digest.
            command += ["--no-config", "--reinstall", "--no-cache", "--link-mode", "copy"]
        else:
            command.append("--force-reinstall")
        command += ["--require-hashes", "--no-index", "--find-links", str(folder)]
        return [*command, "--constraint", CONSTRAINTS, "--requirement", CHECKED]

    def install_sources(self, folder: Path, *where: str) -> list[str]:
        """The command that makes a folder of sources importable; it runs their build tool."""
        command = [*self._command("install"), "--no-deps", "--constraint", CONSTRAINTS]
        return [*command, *where, "--editable", str(folder)]

    def uninstall(self, distribution: str) -> list[str]:
        """The command that removes a distribution."""
        more = ["--yes"] if self.name == "pip" else ["--no-config"]
        return [*self._command("uninstall"), *more, distribution]

    def _command(self, what: str) -> list[str]:
        if self.name == "uv":
            return [*self.program, "pip", what, "--python", sys.executable]
        return [*self.program, what, "--no-input", "--disable-pip-version-check"]

    def environment(
        self, variables: Mapping[str, str], settings: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The environment in which it is called.

        Args:
            variables: Those of this process.
            settings: What pip's files of settings say, by the names of variables.
        """
        kept = {
            name: value
            for name, value in {**(settings or {}), **variables}.items()
            if name not in NOT_OURS and (name in KEPT or not name.startswith("PIP_"))
        }
        if self.name == "pip":
            # What counts of its files has been read.
            return {**kept, "PIP_CONFIG_FILE": os.devnull}
        for theirs, ours in PIP_TO_UV.items():
            if theirs in kept and ours not in kept:
                # pip separates several by spaces, uv by commas where they are folders.
                separator = "," if theirs == "PIP_FIND_LINKS" else " "
                kept[ours] = separator.join(kept[theirs].split())
        return kept

    def call(self, command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Runs a command in a folder, and gives how it ended and all that it said."""
        settings = self._settings(folder) if self.name == "pip" else {}
        return _run(command, folder, self.environment(os.environ, settings))

    def _settings(self, folder: Path) -> dict[str, str]:
        """What pip's files say of where to ask: later ones and those for a command win."""
        done = _run([*self.program, "config", "list"], folder, dict(os.environ))
        found: dict[str, str] = {}
        lines = [match for line in done.stdout.splitlines() if (match := SETTING.fullmatch(line))]
        for match in sorted(lines, key=lambda match: match["section"] != "global"):
            if match["name"] in WHERE and match["section"] in {"global", "install", "download"}:
                name = f"PIP_{match['name'].upper().replace('-', '_')}"
                found[name] = " ".join(str(ast.literal_eval(match["value"])).split())
        return found


def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- made here, of names that were checked
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def find_installer(wanted: str = "auto") -> Installer:
    """What can install into the interpreter that runs bdbench: pip if it is there, else uv.

    Args:
        wanted: ``auto``, ``pip`` or ``uv``.

    Raises:
        PluginError: It is not there.
    """
    if wanted in {"auto", "pip"} and importlib.util.find_spec("pip"):
        # -P: no pip.py of the folder in which it is called.
        return Installer("pip", [sys.executable, "-P", "-m", "pip"])
    if wanted in {"auto", "uv"}:
        beside = str(Path(sys.executable).parent)
        found = shutil.which("uv", path=beside) or shutil.which("uv")
        if found:
            return Installer("uv", [found])
    raise PluginError(
        f"{'neither pip nor uv' if wanted == 'auto' else f'no {wanted}'} is here to install with",
        where=sys.executable,
        expected="pip in this environment, or the command uv",
        next="`python -m ensurepip` in it, or install uv",
    )


def constraints(leave_out: frozenset[str]) -> str:
    """What is installed, as constraints: no installation moves any of it.

    Args:
        leave_out: The normalised names of what is to be installed.
    """
    pins: dict[str, str] = {}
    for dist in distributions():
        name = canonicalize_name(dist.name)
        try:
            version = str(Version(stated(dist, "Version")))
        # What has none that can be read holds nothing in place.
        except InvalidVersion:
            continue
        if name not in leave_out:
            pins.setdefault(name, version)
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))
