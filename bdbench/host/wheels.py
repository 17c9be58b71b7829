"""Wheels, read without installing them and without running anything of them."""

from __future__ import annotations

import base64
import configparser
import csv
import email
import hashlib
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath

from packaging.tags import sys_tags
from packaging.utils import (
    InvalidWheelFilename,
    canonicalize_name,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from bdbench.api.errors import InputError
from bdbench.host.files import files_digest, is_compiled, is_metadata, sha256_of

__all__ = ["Wheel", "pack", "parse_entry_points", "read_wheel"]

MAX_BYTES = 500_000_000
"""Unpacked; what claims to be more is refused before it is unpacked."""
LINE = re.compile(r"#.*|\[[^\s\[\]]+\]\s*|[^\s;#\[=][^=]*=.*")
"""The lines of an ``entry_points.txt`` that mean the same to everybody."""
UNSIGNED = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s"})
"""What a RECORD has no digest of: itself, and signatures of it."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel.

    Attributes:
        path: The file, absolute.
        distribution: Its normalised name.
        version: As its metadata write it.
        sha256: Of the file.
        files: Digest of what it installs.
        requires: Its requirements.
        points: Group, name and value of each of its entry points.
        paths: What it puts beside other packages, without what describes it.
    """

    path: Path
    distribution: str
    version: str
    sha256: str
    files: str
    requires: tuple[str, ...]
    points: tuple[tuple[str, str, str], ...]
    paths: tuple[str, ...]

    @property
    def groups(self) -> frozenset[str]:
        """The groups of its entry points."""
        return frozenset(group for group, _, _ in self.points)


def read_wheel(path: Path) -> Wheel:
    """Reads a wheel, and holds its files against its own record.

    Raises:
        InputError: The file is no wheel, or one that puts files elsewhere than beside others,
            has code that nobody can read, or is not what it says.
    """
    path = path.expanduser().absolute()
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            return _read(path, archive, str(name), version)
    # Damaged data show as any of these, by where the damage lies.
    except (
        OSError,
        InvalidWheelFilename,
        InvalidVersion,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        UnicodeDecodeError,
        csv.Error,
        configparser.Error,
    ) as error:
        digest = f", sha256 {sha256_of(path)}" if path.is_file() else ""
        raise InputError(
            "the wheel cannot be read",
            where=str(path),
            found=f"{error}{digest}",
            expected="a wheel (.whl) as a build tool writes it",
            next="build it or get it again",
        ) from None


def _read(path: Path, archive: zipfile.ZipFile, name: str, version: Version) -> Wheel:
    members = [member for member in archive.infolist() if not member.is_dir()]
    size = sum(member.file_size for member in members)
    if size > MAX_BYTES:
        raise InputError(
            "the wheel is too large",
            where=str(path),
            found=f"{size} bytes unpacked",
            expected=f"at most {MAX_BYTES}",
        )
    for member in members:
        _check_member(path, member)
    digests = {}
    for member in members:
        if member.filename in digests:
            raise zipfile.BadZipFile(f"{member.filename} twice")
        with archive.open(member) as file:
            digests[member.filename] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    info = _info(digests)
    described = email.message_from_bytes(archive.read(f"{info}/METADATA"))
    _check_name(described, name, version)
    if not is_metadata(f"{info}/METADATA", name):
        raise zipfile.BadZipFile(f"{info} where the metadata of {name} should be")
    record = archive.read(f"{info}/RECORD").decode() if f"{info}/RECORD" in digests else ""
    if problems := list(_unrecorded(record, digests, info)):
        raise InputError(
            "the wheel's files are not those that it records",
            where=str(path),
            found="; ".join(problems[:3]),
            expected="a digest under RECORD for each file, and each file",
            next="build it or get it again",
        )
    listed = f"{info}/entry_points.txt"
    points = parse_entry_points(archive.read(listed).decode() if listed in digests else "")
    files = {path: found for path, found in digests.items() if not is_metadata(path, name)}
    return Wheel(
        path=path,
        distribution=name,
        version=described["Version"],
        sha256=sha256_of(path),
        files=files_digest(files, points),
        requires=tuple(described.get_all("Requires-Dist") or ()),
        points=tuple(points),
        paths=tuple(sorted(files)),
    )


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = PurePosixPath(name).parts
    if (
        not parts
        or parts[0].endswith(".data")
        or ".." in parts
        or name.startswith("/")
        or "\\" in name
        or ":" in name
        or stat.S_ISLNK(member.external_attr >> 16)
    ):
        raise InputError(
            "the wheel puts files elsewhere than beside other packages",
            where=str(path),
            found=name,
            expected="packages only: no .data folder",
            next="tell the plugin's authors",
        )
    if is_compiled(name):
        raise InputError(
            "the wheel holds compiled code, which Python would run instead of what can be read",
            where=str(path),
            found=name,
            expected="sources: Python compiles them itself",
            next="tell the plugin's authors",
        )


def _info(names: Mapping[str, str]) -> str:
    """The one folder that describes the distribution."""
    tops = {name.partition("/")[0] for name in names if "/" in name}
    infos = sorted(top for top in tops if top.endswith((".dist-info", ".egg-info")))
    if len(infos) > 1:
        raise zipfile.BadZipFile(f"metadata of several: {', '.join(infos)}")
    if not infos or f"{infos[0]}/METADATA" not in names:
        raise zipfile.BadZipFile("no METADATA")
    return infos[0]


def _check_name(described: Message, name: str, version: Version) -> None:
    if canonicalize_name(described["Name"] or "") != name:
        raise zipfile.BadZipFile(f"its metadata name {described['Name']}, its file name {name}")
    if Version(described["Version"] or "") != version:
        found = described["Version"]
        raise zipfile.BadZipFile(f"its metadata say version {found}, its file name {version}")


def _unrecorded(record: str, digests: Mapping[str, str], info: str) -> Iterator[str]:
    """What is wrong with the files of a wheel, by its own record."""
    rows = {
        row[0]: row[1] if len(row) > 1 else "" for row in csv.reader(record.splitlines()) if row
    }
    for path, digest in digests.items():
        if path.removeprefix(f"{info}/") in UNSIGNED:
            continue
        raw = base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()
        if path not in rows:
            yield f"{path}: RECORD does not know it"
        elif rows[path] != f"sha256={raw}":
            yield f"{path}: RECORD has {rows[path] or 'no digest'}, found sha256={raw}"
    yield from (f"{path}: it is not there" for path in rows.keys() - digests.keys())


def pack(folder: Path, into: Path) -> None:
    """Makes a wheel again of what an installer unpacked of one.

    Args:
        folder: What was unpacked; passed over if it is none.
        into: Where the wheel goes.
    """
    for wheel in folder.glob("*.dist-info/WHEEL"):
        described = email.message_from_bytes(wheel.read_bytes())
        named = described.get_all("Tag") or ["py3-none-any"]
        here = set(map(str, sys_tags()))
        tag = next((tag for tag in named if tag in here), named[0])
        name = f"{wheel.parent.name.removesuffix('.dist-info')}-{tag}.whl"
        # Opened anew only: two that would be one file are told by the number of wheels.
        with zipfile.ZipFile(
            into / name, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False
        ) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file() or file.is_symlink():
                    archive.write(file, file.relative_to(folder).as_posix())


def parse_entry_points(text: str) -> list[tuple[str, str, str]]:
    """Group, name and value of each entry point of an ``entry_points.txt``.

    Raises:
        configparser.Error: It is none, or one that others may read otherwise.
    """
    for line in text.replace("\r\n", "\n").split("\n"):
        # Continued values, spaces in brackets, comments and what else ends a line are not the same
        # to all installers.
        if line and not (LINE.fullmatch(line) and line.isprintable()):
            raise configparser.Error(f"entry_points.txt has the line {line!r}")
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    # Names keep their capitals.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return [
        (group, name, value.strip())
        for group in parser.sections()
        for name, value in parser.items(group)
    ]
