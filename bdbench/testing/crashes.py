"""Where a component crashed, for whoever has to mend it."""

from __future__ import annotations

import importlib.util
import traceback
from pathlib import Path

__all__ = ["crashed", "traceback_of"]


def crashed(error: BaseException, package: str) -> str:
    """What was raised, and the last line of a package that led to it.

    Args:
        error: What was raised.
        package: The name of the component's import package.
    """
    text = str(error) or type(error).__name__
    spec = importlib.util.find_spec(package)
    roots = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    roots += [Path(spec.origin)] if spec and spec.origin and not roots else []
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        root = next((root for root in roots if path.is_relative_to(root)), None)
        if root is not None:
            return f"{text} ({path.relative_to(root.parent)}, line {frame.lineno}, in {frame.name})"
    return text


def traceback_of(error: BaseException) -> str:
    """The whole traceback, as Python would print it."""
    return "".join(traceback.format_exception(error))
