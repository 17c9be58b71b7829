"""Foreign text made acceptable to MLflow: names, values and numbers, all bounded."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

__all__ = ["by_safe_name", "cut_lines", "cut_text", "finite", "flatten", "one_line", "safe_name"]

NAME_LENGTH = 200
VALUE_LENGTH = 500

T = TypeVar("T")

_FOREIGN = re.compile(r"[^\w.\- :/]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def safe_name(name: str) -> str:
    """A metric or parameter name that MLflow accepts: word characters, ``. - : /`` and spaces.

    MLflow also refuses what is no plain relative path (``a//b``) or begins with two dots.
    """
    parts = _FOREIGN.sub("_", _plain(name)).split("/")
    safe = "/".join("_" if part in {"", ".", ".."} else part for part in parts)
    if safe.startswith(".."):
        safe = f"_{safe}"
    return safe if len(safe) <= NAME_LENGTH else f"{safe[: NAME_LENGTH - 9]}-{_digest(name)}"


def by_safe_name(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Values under safe names; two names that would fall together are kept apart."""
    named: dict[str, T] = {}
    for name, value in pairs:
        safe = safe_name(name)
        named[f"{safe}-{_digest(name)}" if safe in named else safe] = value
    return named


def flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and short texts; lists stay whole, as JSON."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from flatten(f"{prefix}.{name}", item)
    else:
        text = value if isinstance(value, str) and value else json.dumps(value, sort_keys=True)
        yield prefix, cut_text(text)


def cut_text(text: str, limit: int = VALUE_LENGTH) -> str:
    """The text without control characters; if it is too long, cut, and saying so."""
    text = _plain(text)
    if len(text) <= limit:
        return text
    marker = f" … [cut: {len(text)} characters]"
    return text[: limit - len(marker)] + marker


def one_line(text: str, limit: int = 80) -> str:
    """The text as a short label on one line."""
    line = " ".join(_plain(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def cut_lines(text: str, limit: int, marker: str) -> str:
    """The text without control characters, cut after a whole line if it is too long."""
    text = _plain(text)
    if len(text) <= limit:
        return text
    kept = text[: limit - len(marker) - 2]
    whole = kept.rpartition("\n")[0] or kept
    return f"{whole}\n\n{marker}"


def finite(value: Any) -> float | None:
    """The value as a float, or None if it is no finite number (MLflow stores inf as 1.8e308)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _plain(text: str) -> str:
    # Lone surrogates cannot be stored as UTF-8, and databases refuse NUL.
    text = text.encode("utf-8", "replace").decode()
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
