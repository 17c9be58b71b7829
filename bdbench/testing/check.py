"""What a check is: a small named function, chosen by what a component declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdbench.api import BdbenchError
from bdbench.api.specs import ComponentSpec

if TYPE_CHECKING:
    from bdbench.testing.subject import Subject

__all__ = ["CHECKS", "Check", "CheckFailedError", "CheckSkipped", "check", "checks_for"]

Run = Callable[["Subject"], None]


class CheckFailedError(BdbenchError):
    """A component does not do what the check is about."""


class CheckSkipped(Exception):  # noqa: N818 -- no error
    """A check that applies could not be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check.

    Attributes:
        name: The rule that it enforces; the name of its function.
        summary: One line.
        kinds: The kinds of components that it is for; empty for all.
        applies: Whether it is for a component of these kinds, by what the spec declares.
        run: Makes the check.
    """

    name: str
    summary: str
    kinds: frozenset[str]
    applies: Callable[[ComponentSpec], bool]
    run: Run


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order in which they are made."""


def check(*kinds: str, when: Callable[..., bool] = lambda _spec: True) -> Callable[[Run], Run]:
    """Makes a function a check: its name is the check's, its first line the summary.

    Args:
        *kinds: The kinds of components that it is for; all if none is named.
        when: Whether it is for a component of these kinds, by its spec.
    """

    def register(run: Run) -> Run:
        summary = (run.__doc__ or "").partition("\n")[0]
        CHECKS[run.__name__] = Check(run.__name__, summary, frozenset(kinds), when, run)
        return run

    return register


def checks_for(spec: ComponentSpec) -> list[Check]:
    """The checks that apply to what a spec declares."""
    # Importing them registers them; they import this module.
    import bdbench.testing.checks  # noqa: F401, PLC0415

    return [
        item
        for item in CHECKS.values()
        if (not item.kinds or spec.kind in item.kinds) and item.applies(spec)
    ]
