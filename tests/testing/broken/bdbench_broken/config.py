"""Settings of the broken components."""

from pydantic import BaseModel, Field, model_validator

from bdbench.api import ComponentConfig, DefenseConfig, PoisonConfig


class Poison(PoisonConfig):
    """What an attack on data needs."""


class Strength(DefenseConfig):
    strength: float = Field(default=0.5, ge=0, le=1, description="How strong.")


class Scale(ComponentConfig):
    scale: float = Field(default=1.0, description="A factor.")


class Lenient(BaseModel):
    scale: float = Field(default=1.0, description="A factor.")


class Inner(BaseModel):
    scale: float = Field(default=1.0, description="A factor.")


class LenientWithin(ComponentConfig):
    inner: Inner = Field(default=Inner(), description="More settings.")


class Undescribed(Scale):
    more: int = 3


class Growing(Scale):
    @model_validator(mode="before")
    @classmethod
    def _grow(cls, data):
        return {**data, "scale": data.get("scale", 1.0) * 2}


class Touchy(Scale):
    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, data):
        if "scale" in data:
            raise ValueError("leave it out")
        return data
