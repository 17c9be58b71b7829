"""The settings of `merge`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bdbench.api import DefenseConfig, Needs

__all__ = ["LEAST_ROWS", "MergeConfig", "MethodName"]

MethodName = Literal[
    "mean", "weighted-mean", "slerp", "task-arithmetic", "ties", "dare", "fisher", "regmean"
]

# The settings that each method reads, besides `references` and `lora`, with their defaults; None
# where there is no default.
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "mean": {},
    "weighted-mean": {"weights": None},
    "slerp": {"fraction": 0.5},
    "task-arithmetic": {"scale": 0.3},
    "ties": {"keep": 0.7, "scale": 1.0},
    "dare": {"drop": 0.9, "scale": 1.0},
    "fisher": {"weights": None, "normalise": True, "floor": 1e-6},
    "regmean": {"alpha": 0.9},
}
_OWNED = ("weights", "fraction", "scale", "keep", "drop", "normalise", "floor", "alpha")
_OPTIONAL = frozenset({("fisher", "weights")})
_WITH_BASE = frozenset({"task-arithmetic", "ties", "dare"})
_WITH_ROWS = frozenset({"fisher", "regmean"})
_OF_PRODUCTS = frozenset({"mean", "weighted-mean"})

LEAST_ROWS = 8
"""The fewest clean rows on which Fisher information and layer inputs are measured."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class MergeConfig(DefenseConfig):
    """Which models are merged, and how.

    A setting that the method does not read is refused; one that it reads and that is not
    given gets the method's default, which then stands in the record.
    """

    method: MethodName = Field(
        default="mean",
        description="mean (WAG), weighted-mean, slerp, task-arithmetic, ties, dare, fisher or "
        "regmean.",
    )
    references: int | None = Field(
        default=None,
        ge=1,
        description="How many of the granted reference models take part, the first ones; all if "
        "not given (with weights: one for each after the first; slerp: always one).",
    )
    weights: list[Weight] | None = Field(
        default=None,
        description="weighted-mean, and fisher where wanted: the weight of the victim, then of "
        "each reference; they need not sum to one.",
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
    normalise: bool | None = Field(
        default=None,
        description="fisher: whether each model's Fisher information is first divided by its "
        "norm, so that no model counts more for being less sure of itself; true.",
    )
    floor: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="fisher: the least information of an element, as a share of the mean; 1e-6.",
    )
    alpha: float | None = Field(
        default=None,
        ge=0,
        le=0.999,
        description="regmean: factor of the products between different inputs of a layer; 0.9.",
    )
    lora: Literal["factors", "products"] = Field(
        default="factors",
        description="For LoRA adapters: factors (A and B are merged as any other tensors, as "
        "published), or products (mean and weighted-mean only): the exact mean of B times A, as "
        "an adapter whose rank is the sum of the ranks.",
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
        missing = [name for name in own if name not in given and (method, name) not in _OPTIONAL]
        if missing:
            raise ValueError(f"method {method!r} needs {missing[0]!r}")
        return given

    @model_validator(mode="after")
    def _agree(self) -> MergeConfig:
        if self.weights is not None and (len(self.weights) < 2 or math.fsum(self.weights) == 0):
            raise ValueError("'weights' are at least two numbers, not all zero")
        if self.lora == "products" and self.method not in _OF_PRODUCTS:
            raise ValueError(
                f"'lora: products' goes with mean and weighted-mean, not with {self.method!r}, "
                "which is not linear in the products"
            )
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
        """The settings that the method reads, besides `references` and `lora`."""
        return {name: getattr(self, name) for name in _SETTINGS[self.method]}

    def needs(self, declared: Needs) -> Needs:
        """As many references as the settings name; base weights and clean rows if used."""
        return replace(
            declared,
            references=self.used_references or declared.references,
            base_weights=self.uses_base,
            clean_rows=LEAST_ROWS if self.method in _WITH_ROWS else 0,
        )
