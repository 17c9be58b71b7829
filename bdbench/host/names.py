"""Names of plugins as people write them, and what a name that leads nowhere was meant to be."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

__all__ = ["called", "meant", "nearest", "nobody", "resembled"]

PREFIX = "bdbench-"
ALIKE = 0.85
"""How alike two names are, by `difflib`, that one may be taken for the other."""
ALIKE_WHOLE = 0.9
"""The same for names with their prefix: what they have in common by custom counts for less."""
MEANT = 0.6
"""How alike a name is to what somebody who wrote it may have meant."""
MEANT_COMPONENT = 0.65
"""The same for components, whose names are short: half of the letters are soon alike."""


def _normal(name: str) -> str:
    # Only for who names plugins: packaging takes as long to import as the rest of discovery.
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    return canonicalize_name(name)


def called(names: Iterable[str], asked: Iterable[str]) -> set[str]:
    """Those of the asked names that one of some names is: ``A_b.C`` is ``a-b-c``."""
    wanted = {name: _normal(name) for name in asked}
    here = {_normal(name) for name in names} if wanted else set()
    return {name for name, normal in wanted.items() if normal in here}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was meant, if one resembles it or ends in it."""
    by_normal = {_normal(item): item for item in sorted(known)}
    normal = _normal(name)
    close = get_close_matches(normal, by_normal, n=1, cutoff=MEANT)
    ending = [item for item in by_normal if item.endswith(f"-{normal}")]
    found = [*ending, *close]
    return by_normal[found[0]] if found else None


def meant(name: str, known: Iterable[str]) -> list[str]:
    """The names of components that were meant: those that begin so, else the one that resembles.

    Args:
        name: What was written, which is none of them.
        known: The names that there are.
    """
    names = sorted(set(known))
    begun = [item for item in names if name and item.startswith(name)]
    return begun or get_close_matches(name, names, n=1, cutoff=MEANT_COMPONENT)


def nobody(name: str, known: Iterable[str]) -> str:
    """That nothing installed has a name, and what may have been meant."""
    close = nearest(name, known)
    meant = f"did you mean {close!r}?" if close else "see `bdbench plugins`"
    return f"nothing installed is called {name!r}; {meant}"


def resembled(distribution: str, listed: Collection[str]) -> str | None:
    """The one of some distributions that another may be taken for.

    Letters too many, too few or swapped, dashes elsewhere, parts in another order, and mistakes
    in the prefix.

    Args:
        distribution: A name, normalised.
        listed: Names, normalised.
    """
    bare = distribution.removeprefix(PREFIX)
    # All share the prefix: it says nothing, unless it is the prefix that is not as it should be.
    ways = [(PREFIX, ALIKE)] if bare != distribution else [(PREFIX, ALIKE), ("", ALIKE_WHOLE)]
    for form in (_joined, _sorted):
        for prefix, cutoff in ways:
            forms = {form(name.removeprefix(prefix)): name for name in listed}
            close = get_close_matches(form(bare), forms, n=1, cutoff=cutoff)
            if close:
                return forms[close[0]]
    return None


def _joined(name: str) -> str:
    return name.replace("-", "")


def _sorted(name: str) -> str:
    return "".join(sorted(name.split("-")))
