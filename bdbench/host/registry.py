"""The registry: plugins that are known to exist, and what a pinned version of one consists of."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bdbench.api.errors import InputError, PluginError
from bdbench.host.names import PREFIX, resembled

__all__ = [
    "NOTICE",
    "Checked",
    "Listed",
    "Needed",
    "Pin",
    "Registry",
    "load_registry",
    "registry_file",
]

REGISTRY_VARIABLE = "BDBENCH_REGISTRY"
NOTICE = (
    "A plugin is code that runs with your rights: it can read your files and use your network. "
    "Listing is not endorsement."
)

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Provided = Annotated[
    str,
    Field(
        pattern=r"^(attack|defense|metric|model|dataset|reporter|executor|suite)"
        r":[A-Za-z0-9]+(-[A-Za-z0-9]+)*$"
    ),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _as_version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion:
        raise ValueError("a version, such as 1.2.0") from None
    return text


class Needed(_Part):
    """A distribution that a plugin needs and the host does not bring."""

    distribution: Name
    version: str
    sha256: list[Digest] = Field(min_length=1)

    _version = field_validator("version")(_as_version)


class Pin(_Part):
    """The one version of a plugin that the registry stands for.

    Attributes:
        version: Its number.
        sha256: Of its wheels. None where no wheel is published: then there is nothing to install
            by name, and what is installed is still held against `files`.
        files: Of what each wheel installs, see `bdbench.host.files`: a wheel's own digest cannot
            be seen any more once it is installed.
        needs: Further wheels to install with it, so that all that is installed is pinned.
    """

    version: str
    sha256: list[Digest] = []
    files: list[Digest] = Field(min_length=1)
    needs: list[Needed] = []

    _version = field_validator("version")(_as_version)


class Checked(_Part):
    """The last run of the conformance suite over a plugin."""

    date: dt.date
    host: str
    result: Literal["passed", "failed"]


class Listed(_Part):
    """A plugin of the registry.

    Attributes:
        name: Short: the distribution's name without ``bdbench-``, in most cases.
        distribution: What is installed.
        tier: ``core``: made with bdbench. ``verified``: its reproduction was looked at by others
            than its authors. ``community``: listed on its authors' word.
        summary: One line.
        provides: ``kind:name`` of each component; none for a plugin that only watches runs.
        homepage: Where to read more.
        license: An SPDX expression.
        citation: One line for each work that it implements.
        api: The versions of bdbench's API that it works with.
        pin: The version that is installed by name.
        checked: The last conformance check.
    """

    name: Name
    distribution: Name
    tier: Literal["core", "verified", "community"]
    summary: str = Field(min_length=1)
    provides: list[Provided]
    homepage: str = Field(default="", pattern=r"^(https://\S+)?$")
    license: str = Field(min_length=1)
    citation: list[str] = []
    api: str
    pin: Pin | None = None
    checked: Checked | None = None

    @field_validator("summary", "license", "homepage", "citation")
    @classmethod
    def _is_one_line(cls, found: str | list[str]) -> str | list[str]:
        # What is shown of an entry must not look like something else.
        if not all(line.isprintable() for line in ([found] if isinstance(found, str) else found)):
            raise ValueError("one line, without control characters")
        return found

    @field_validator("api")
    @classmethod
    def _is_range(cls, text: str) -> str:
        try:
            SpecifierSet(text)
        except InvalidSpecifier:
            raise ValueError("a range of versions, such as '>=1.0,<2'") from None
        return text

    @model_validator(mode="after")
    def _published(self) -> Listed:
        if self.pin and self.tier != "core" and len(self.pin.sha256) != len(self.pin.files):
            raise ValueError("a pin with as many digests of wheels under sha256 as under files")
        return self

    def supports(self, api: str) -> bool:
        """Whether it works with a version of the API."""
        return SpecifierSet(self.api).contains(api)


class Registry(_Part):
    """All plugins that are known."""

    plugins: list[Listed]

    @model_validator(mode="after")
    def _distinct(self) -> Registry:
        for key in ("name", "distribution"):
            values = [getattr(entry, key) for entry in self.plugins]
            twins = sorted({value for value in values if values.count(value) > 1})
            if twins:
                raise ValueError(f"a {key} of its own for each plugin, not twice {twins[0]}")
        for entry in self.plugins:
            _refuse_borrowed(entry, [other for other in self.plugins if other is not entry])
        return self

    def entry(self, distribution: str) -> Listed | None:
        """The entry of a distribution."""
        name = canonicalize_name(distribution)
        return next((entry for entry in self.plugins if entry.distribution == name), None)

    def find(self, wanted: str) -> Listed | None:
        """The entry with a name, of a distribution, or of the one plugin that brings a component.

        Raises:
            PluginError: Several plugins bring a component of that name.
        """
        name = canonicalize_name(wanted)
        for entry in self.plugins:
            if name in {entry.name, entry.distribution}:
                return entry
        bringing = [
            entry
            for entry in self.plugins
            if any(wanted in {item, item.partition(":")[2]} for item in entry.provides)
        ]
        if len(bringing) > 1:
            raise PluginError(
                f"several plugins bring {wanted!r}",
                where="registry",
                found=", ".join(entry.name for entry in bringing),
                expected="one of these names",
            )
        return bringing[0] if bringing else None

    def resembling(self, distribution: str) -> Listed | None:
        """The listed plugin that an unlisted name may be taken for, or be meant to be."""
        name = canonicalize_name(distribution)
        if self.entry(name):
            return None
        bare = name.removeprefix(PREFIX)
        for entry in self.plugins:
            if bare == entry.name or any(bare == item.partition(":")[2] for item in entry.provides):
                return entry
        close = resembled(name, [entry.distribution for entry in self.plugins])
        return self.entry(close) if close else None

    def search(self, words: str) -> list[Listed]:
        """The plugins in whose entry every word occurs."""
        return [
            entry
            for entry in self.plugins
            if all(word in _text(entry) for word in words.lower().split())
        ]


def _refuse_borrowed(entry: Listed, others: Iterable[Listed]) -> None:
    """Refuses names of an entry by which another is asked for."""
    for other in others:
        components = [canonicalize_name(item.partition(":")[2]) for item in other.provides]
        borrowed = {entry.name, entry.distribution} & {other.distribution, other.name, *components}
        if borrowed:
            raise ValueError(
                f"names that lead to one plugin: {borrowed.pop()} of {entry.distribution} leads "
                f"to {other.distribution} too"
            )


def _text(entry: Listed) -> str:
    return " ".join(
        [entry.name, entry.distribution, entry.summary, *entry.provides, *entry.citation]
    ).lower()


def registry_file() -> Path:
    """The file in use: ``BDBENCH_REGISTRY``, or the one that comes with bdbench."""
    chosen = os.environ.get(REGISTRY_VARIABLE, "")
    if chosen:
        return Path(chosen)
    package = Path(__file__).parents[1]
    # In a wheel the registry lies inside the package, in a checkout beside it.
    inside = package / "registry.yaml"
    return inside if inside.is_file() else package.parent / "registry.yaml"


def load_registry(path: Path | None = None) -> Registry:
    """Reads a registry; by default the one in use.

    Raises:
        InputError: It cannot be read, or an entry does not fit.
    """
    path = path or registry_file()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "the registry cannot be read",
            where=str(path),
            found=str(error),
            expected="a YAML file with a list `plugins`",
            next=f"correct {REGISTRY_VARIABLE} or --registry, or reinstall bdbench",
        ) from None
    return _parse(text, str(path))


@cache
def _parse(text: str, where: str) -> Registry:
    # The parser in C, where there is one, takes a tenth of the time.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return Registry.model_validate(yaml.load(text, loader))  # noqa: S506 -- a safe loader
    except yaml.YAMLError as error:
        found = " ".join(str(error).split())
        raise InputError("the registry is not YAML", where=where, found=found) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            "the registry does not fit",
            where=f"{where}: {place}" if place else where,
            found=repr(first["input"])[:200],
            expected=first["msg"].removeprefix("Value error, "),
            next="see docs/plugins/using.md for what an entry holds",
        ) from None
