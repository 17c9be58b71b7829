"""What can be set for LaTeX."""

from __future__ import annotations

from pydantic import Field

from bdbench.api import ComponentConfig

__all__ = ["LatexConfig"]


class LatexConfig(ComponentConfig):
    """What can be set for the tables."""

    intervals: bool = Field(default=False, description="Show the 95 % intervals of the means.")
    standalone: bool = Field(
        default=False, description="A document that compiles by itself, instead of an input."
    )
