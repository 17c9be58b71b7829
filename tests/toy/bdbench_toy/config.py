"""Settings of the toy components."""

from pydantic import Field

from bdbench.api import ComponentConfig, DefenseConfig, PoisonConfig


class PatchConfig(PoisonConfig):
    coordinate: int = Field(default=0, ge=0, description="Which coordinate is set.")


class ToyDefenseConfig(DefenseConfig):
    strength: float = Field(default=1.0, description="Toy setting.")


class LinearConfig(ComponentConfig):
    hidden: int = Field(default=16, ge=1, description="Width.")


class BlobsConfig(ComponentConfig):
    rows: int = Field(default=240, ge=0, description="Training rows.")
    overlap: bool = Field(default=False, description="Put a test row among the training rows.")
    bad_label: bool = Field(default=False, description="Give one row a label out of range.")
