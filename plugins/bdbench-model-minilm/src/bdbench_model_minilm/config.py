"""What a suite may set for `minilm`."""

from __future__ import annotations

from pydantic import Field

from bdbench.api import ComponentConfig

__all__ = ["MiniLMConfig"]


class MiniLMConfig(ComponentConfig):
    """MiniLM as a victim. Where its weights lie is no setting: they are the same everywhere."""

    max_length: int = Field(
        default=128, ge=4, le=512, description="Tokens of a row that are kept; the rest is cut."
    )
