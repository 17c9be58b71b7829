"""Failures that are expected: who may say so, and that what is said means something.

Strict, so that a list of them cannot grow old: a check that is listed and passes counts as
failed, and a name that no component or check has is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from bdbench.api import InputError
from bdbench.api.specs import ComponentSpec
from bdbench.testing.check import CHECKS, checks_for

__all__ = ["expected_of", "refuse_mistakes", "refuse_strangers", "refuse_unknown"]


def expected_of(found: Any, where: str) -> dict[str, str]:
    """What is expected of one component: why a check is known to fail, by its name.

    Args:
        found: What somebody wrote.
        where: Where, for messages.

    Raises:
        InputError: It is no mapping of names of checks to reasons.
    """
    if not isinstance(found, Mapping):
        raise InputError(
            "expected failures must be a mapping",
            where=where,
            found=repr(found),
            expected="names of checks with the reason of each",
        )
    for name, reason in found.items():
        refuse_unknown([name])
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(
                "an expected failure needs a reason",
                where=f"{where}: {name}",
                found=repr(reason),
                expected="why the check is known to fail, as text",
            )
    return dict(found)


def refuse_strangers(names: Iterable[Any], specs: Iterable[ComponentSpec], where: str) -> None:
    """Refuses names that no component has: what is said of them would never be looked at.

    Raises:
        InputError: With the nearest name that there is.
    """
    known = sorted({spec.name for spec in specs})
    for name in names:
        if name not in known:
            close = get_close_matches(str(name), known, n=1)
            raise InputError(
                "no component has this name",
                where=f"{where}: {name}",
                expected=f"one of {', '.join(known)}",
                next=f"write {close[0]!r}" if close else "see `bdbench plugins`",
            )


def refuse_mistakes(found: Any, specs: Sequence[ComponentSpec], where: str) -> None:
    """Refuses expected failures, by component, that can come to nothing.

    Args:
        found: What somebody wrote.
        specs: The components that it may be about.
        where: Where, for messages.

    Raises:
        InputError: A name is no component's or no check's, a check is not made of any component
            of the name, or a reason lacks.
    """
    if not isinstance(found, Mapping):
        raise InputError(
            "expected failures must be a mapping",
            where=where,
            found=repr(found),
            expected="names of components, each with a mapping of names of checks to reasons",
        )
    refuse_strangers(found, specs, where)
    for name, checks in found.items():
        made = {check.name for spec in specs if spec.name == name for check in checks_for(spec)}
        unmade = sorted(expected_of(checks, f"{where}: {name}").keys() - made)
        if unmade:
            raise InputError(
                "a failure is expected of a check that this component is not put to",
                where=f"{where}: {name}",
                found=", ".join(unmade),
                next="take it off the list",
            )


def refuse_unknown(names: Iterable[str]) -> None:
    """Refuses names that no check has: what is expected of them would never be looked at.

    Raises:
        InputError: With the nearest name that there is.
    """
    import bdbench.testing.checks  # noqa: F401, PLC0415 -- importing registers them

    for name in names:
        if name not in CHECKS:
            close = get_close_matches(str(name), CHECKS, n=1)
            raise InputError(
                "no check has this name",
                where=str(name),
                expected="one of `bdbench.testing.CHECKS`",
                next=f"write {close[0]!r}" if close else "see `bdbench check --list`",
            )
