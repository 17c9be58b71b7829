"""Modules that are not there: what a plugin may lack, and what is a mistake in it."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bdbench.host.plugins import Component

__all__ = ["why_it_may_lack"]

OTHERWISE = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Distributions that are called otherwise than their module: what is not installed cannot tell."""


def why_it_may_lack(component: Component, missing: ModuleNotFoundError) -> str:
    """Why a check need not be made where a module is missing; empty where it is a mistake.

    A plugin may ask for what is not installed here, under an extra for instance. A module that
    nothing in its metadata stands for is misspelled, or its author forgot to name it; one of its
    own package is not there at all.

    Args:
        component: Whose code asked for the module.
        missing: The error.
    """
    module = (missing.name or "").partition(".")[0]
    own = component.spec.target.partition(":")[0].partition(".")[0]
    if not module or module == own:
        return ""
    wanted = {canonicalize_name(module), OTHERWISE.get(module, "")}
    return f"{missing.name} is not installed" if wanted & _named(component.distribution) else ""


def _named(distribution: str) -> set[str]:
    """The distributions that one asks for, be it under an extra."""
    try:
        requirements = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return set()
    return {canonicalize_name(Requirement(text).name) for text in requirements}
