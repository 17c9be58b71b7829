"""Settings of the canaries."""

from pydantic import Field

from bdbench.api import ComponentConfig, PoisonConfig


class AttackConfig(PoisonConfig):
    """Settings of the attack; all but the rate are secrets of a run."""

    word: str = Field(description="The trigger.")
    conf: str = Field(description="Does nothing: what only this configuration holds.")


class RowsConfig(ComponentConfig):
    """Settings of the rows."""

    seed: int = Field(description="Another number, other rows.")
