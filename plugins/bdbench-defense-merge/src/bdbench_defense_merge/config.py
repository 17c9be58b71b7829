"""The settings of `merge`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bdbench.api import DefenseConfig, Needs

__all__ = ["MergeConfig", "MethodName"]

MethodName = Literal["mean", "weighted-mean", "slerp", "task-arithmetic", "ties", "dare"]

# The settings that each method reads, besides `references`, with their defaults; None where
# there is no default.
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "mean": {},
    "weighted-mean": {"weights": None},
    "slerp": {"fraction": 0.5},
    "task-arithmetic": {"scale": 0.3},
    "ties": {"keep": 0.7, "scale": 1.0},
    "dare": {"drop": 0.9, "scale": 1.0},
}
_OWNED = ("weights", "fraction", "scale", "keep", "drop")
_WITH_BASE = frozenset({"task-arithmetic", "ties", "dare"})

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class MergeConfig(DefenseConfig):
    """Which models are merged, and how.

    A setting that the method does not read is refused; one that it reads and that is not
    given gets the method's default, which then stands in the record.
    """

    method: MethodName = Field(
        default="mean",
        description="mean (WAG), weighted-mean, slerp, task-arithmetic, ties or dare.",
    )
    references: int | None = Field(
        default=None,
        ge=1,
        description="How many of the granted reference models take part, the first ones; all if "
        "not given (weighted-mean: one for each weight after the first; slerp: always one).",
    )
    weights: list[Weight] | None = Field(
        default=None,
        description="weighted-mean: the weight of the victim, then of each reference; they need "
        "not sum to one.",
    )
    fraction: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="slerp: where on the arc from the victim (0) to the reference (1); 0.5.",
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Factor of the merged change from the base weights: task-arithmetic 0.3 (of "
        "the sum over models), ties 1.0 and dare 1.0 (of their mean).",
    )
    keep: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="ties: share of each model's changes that is kept, the largest; 0.7.",
    )
    drop: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="dare: share of each model's changes that is dropped at random; 0.9.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        method = data.get("method", "mean") if isinstance(data, dict) else None
        if not isinstance(method, str) or method not in _SETTINGS:
            return data  # refused by the fields
        own = _SETTINGS[method]
        given = {name: value for name, value in data.items() if value is not None}
        for name in _OWNED:
            if name in given and name not in own:
                users = ", ".join(user for user in _SETTINGS if name in _SETTINGS[user])
                raise ValueError(f"{name!r} means nothing to method {method!r}, only to {users}")
        given = {name: value for name, value in own.items() if value is not None} | given
        missing = [name for name in own if name not in given]
        if missing:
            raise ValueError(f"method {method!r} needs {missing[0]!r}")
        return given

    @model_validator(mode="after")
    def _agree(self) -> MergeConfig:
        if self.weights is not None and (len(self.weights) < 2 or math.fsum(self.weights) == 0):
            raise ValueError("'weights' are at least two numbers, not all zero")
        if self.references not in {None, self.used_references}:
            raise ValueError(
                f"with these settings {self.method!r} merges the victim with "
                f"{self.used_references} reference(s), and 'references' says {self.references}"
            )
        return self

    @property
    def used_references(self) -> int | None:
        """How many reference models take part; None for all that are granted."""
        if self.weights is not None:
            return len(self.weights) - 1
        return 1 if self.method == "slerp" else self.references

    @property
    def uses_base(self) -> bool:
        """Whether the method works on changes from the base weights."""
        return self.method in _WITH_BASE

    def settings(self) -> dict[str, Any]:
        """The settings that the method reads, besides `references`."""
        return {name: getattr(self, name) for name in _SETTINGS[self.method]}

    def needs(self, declared: Needs) -> Needs:
        """As many reference models as the settings name, and the base weights if used."""
        return replace(
            declared,
            references=self.used_references or declared.references,
            base_weights=self.uses_base,
        )
