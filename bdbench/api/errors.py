"""The errors that bdbench and its plugins raise on purpose.

Each tells who, where, what was found, what was expected and what to do next, in one
paragraph. Anything else that escapes a component is a crash and is shown as one.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BdbenchError",
    "InputError",
    "NonFiniteError",
    "NotGrantedError",
    "PluginError",
    "StoreError",
    "error_from_dict",
]


class BdbenchError(Exception):
    """A failure with a cause that can be named.

    Args:
        what: One sentence without a final full stop: what is wrong.
        where: File, key, component or cell that it is about.
        found: What was there.
        expected: What should have been there.
        next: The command or edit that mends it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        found: str = "",
        expected: str = "",
        next: str = "",  # noqa: A002 -- the word that the message uses
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.found = found
        self.expected = expected
        self.next = next

    def __str__(self) -> str:
        """The whole paragraph."""
        text = f"{self.where}: {self.what}." if self.where else f"{self.what}."
        if self.found:
            text += f" Found {self.found}."
        if self.expected:
            text += f" Expected {self.expected}."
        if self.next:
            text += f" Next: {self.next}."
        return text

    def to_dict(self) -> dict[str, str]:
        """The error as plain data, to cross a process boundary or to stand in a record."""
        return {
            "type": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "found": self.found,
            "expected": self.expected,
            "next": self.next,
        }


class InputError(BdbenchError):
    """The suite, the data, a model or a setting cannot be used as given (exit code 4)."""


class PluginError(BdbenchError):
    """A plugin is missing, broken or in conflict with another (exit code 4)."""


class NotGrantedError(BdbenchError):
    """A component asked for something that it did not declare or was not granted."""


class NonFiniteError(InputError):
    """Weights or outputs hold NaN or infinity: an error, never a score."""


class StoreError(InputError):
    """The folder that holds results cannot be read or written."""


def error_from_dict(data: dict[str, Any]) -> BdbenchError:
    """Rebuilds an error from `BdbenchError.to_dict`; an unknown type becomes the base class."""
    kinds = {
        kind.__name__: kind
        for kind in (InputError, PluginError, NotGrantedError, NonFiniteError, StoreError)
    }
    kind = kinds.get(str(data.get("type")), BdbenchError)
    fields = {name: str(data.get(name, "")) for name in ("where", "found", "expected", "next")}
    return kind(str(data.get("what", "unknown error")), **fields)
