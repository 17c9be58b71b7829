"""Every name in a new plugin, made from its kind and one short name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from bdbench import api
from bdbench.api.errors import InputError
from bdbench.host.catalog import Host, known_plugins

__all__ = ["KINDS", "Names", "names_for", "warnings_for"]

KINDS = ("attack", "defense", "metric", "model", "dataset")

LONGEST = 24
"""Letters of a short name: tables keep their columns, and generated lines their 100 letters."""

_SHORT_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Names:
    """What a new plugin and its parts are called.

    Attributes:
        kind: The kind of its component, one of `KINDS`.
        name: The component's short name, in kebab-case.
    """

    kind: str
    name: str

    @property
    def short(self) -> str:
        """The entry point: the distribution's name without the host's."""
        return f"{self.kind}-{self.name}"

    @property
    def distribution(self) -> str:
        """What is installed, and the name of the folder."""
        return f"bdbench-{self.short}"

    @property
    def package(self) -> str:
        """What is imported."""
        return self.distribution.replace("-", "_")

    @property
    def snake(self) -> str:
        """The short name as an identifier."""
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        """The component's class."""
        return self._camel + self.kind.capitalize()

    @property
    def config_name(self) -> str:
        """The class of its settings."""
        return self._camel + "Config"

    @property
    def _camel(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("-"))


def names_for(kind: str, name: str) -> Names:
    """The names of a new plugin.

    Only what passes here gets into templates and paths.

    Raises:
        InputError: The name is not in kebab-case, is too long, repeats the kind, or would give
            a class the name of one of bdbench's own.
    """
    where = f"bdbench new {kind}"
    wanted = "small letters, digits and single hyphens, a letter first, for instance 'rare-words'"
    if not _SHORT_NAME.fullmatch(name) or len(name) > LONGEST:
        raise InputError(
            "the name cannot be used",
            where=where,
            found=repr(name) if len(name) <= 80 else f"{len(name)} characters",
            expected=f"{wanted}; at most {LONGEST} characters",
            next=_hint(kind, name),
        )
    names = Names(kind, name)
    if name.startswith(("bdbench-", f"{kind}-")):
        raise InputError(
            "the name repeats what the distribution's name says anyway",
            where=where,
            found=repr(name),
            expected=f"what comes after bdbench-{kind}- in the distribution's name",
            next=_hint(kind, name),
        )
    clash = sorted({names.class_name, names.config_name} & set(api.__all__))
    if clash:
        raise InputError(
            "a class of the plugin would bear the name of one of bdbench's own",
            where=where,
            found=f"{name!r}, which makes {' and '.join(clash)}",
            expected="a name of its own",
            next="choose a name that says what is particular to it",
        )
    return names


def _hint(kind: str, name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    plain = plain.removeprefix("bdbench-").removeprefix(f"{kind}-")
    fits = _SHORT_NAME.fullmatch(plain) and len(plain) <= LONGEST and plain != name
    return f"write {plain!r}" if fits else "choose another name"


def warnings_for(names: Names, host: Host) -> Iterator[str]:
    """Names that are taken, or so near that a reader may take one for the other."""
    listed = known_plugins()
    owners = {
        provided.partition(":")[2]: entry.distribution
        for entry in listed
        for provided in entry.provides
        if provided.startswith(f"{names.kind}:")
    }
    owners |= {item.spec.name: item.distribution for item in host.components(names.kind)}
    distributions = {entry.distribution for entry in listed}
    distributions |= {plugin.distribution for plugin in host.plugins}

    if names.distribution in distributions:
        yield f"there is a distribution {names.distribution} already"
    elif names.name in owners:
        owner = owners[names.name]
        yield (
            f"{owner} brings {_article(names.kind)} named {names.name!r}, too: where both are "
            f"installed, suites must write {names.distribution}/{names.name}"
        )
    else:
        for close in get_close_matches(names.name, sorted(owners), n=1, cutoff=0.8):
            yield f"{names.name!r} is easily taken for {close!r}, of {owners[close]}"
        for close in get_close_matches(names.distribution, sorted(distributions), n=1, cutoff=0.9):
            yield f"{names.distribution} is easily taken for {close}"


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
