"""The settings of `ulrl`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from bdbench.api import DefenseConfig, Recipe

__all__ = ["UlrlConfig"]

# How the authors' code relearns CIFAR-10; a clip that nothing reaches is no clip.
_PUBLISHED = {
    "epochs": 20,
    "batch_size": 128,
    "learning_rate": 0.005,
    "warmup": 0.0,
    "weight_decay": 0.0,
    "max_grad_norm": 1e6,
}


class UlrlConfig(DefenseConfig, Recipe):
    """How neurons are found, and how the model is trained again.

    The recipe is that of the relearning. With ``optimizer: sgd``, what is not given of it is as
    in the authors' code for CIFAR-10.
    """

    epochs: int = Field(default=5, ge=1, description="Relearning: passes over the clean rows.")
    learning_rate: float = Field(
        default=7.5e-5, gt=0, description="Relearning: highest learning rate; sgd: 0.005."
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        default="adamw",
        description="Relearning: the host's recipe, or the paper's SGD (momentum 0.9, cosine).",
    )
    alpha: float = Field(
        default=0.7,
        ge=0,
        description="Relearning: factor of the cosine between flagged rows and what they were.",
    )
    unlearn_epochs: int = Field(
        default=20, ge=1, description="Unlearning: at most so many passes over the clean rows."
    )
    unlearn_learning_rate: float = Field(
        default=0.01, gt=0, description="Unlearning: learning rate of SGD; a tenth after 10 epochs."
    )
    unlearn_batch_size: int = Field(
        default=128, ge=1, description="Unlearning: rows in each gradient step."
    )
    stop_accuracy: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Unlearning: ends once the accuracy on the clean rows is at most this.",
    )
    layers: Literal["all", "last"] = Field(
        default="all",
        description="Where neurons are looked for: every linear layer, or, as the authors' code "
        "does, only the last one, whose neurons are the classes.",
    )
    outlier: float = Field(
        default=3.5, ge=0, description="Deviation from the layer's median that is flagged, in MADs."
    )
    median: Literal["middle", "lower"] = Field(
        default="middle",
        description="Of an even number of values: the mean of the middle two, or, as the authors' "
        "code has it, the lower of them.",
    )
    limit: int = Field(default=2, ge=1, description="At most so many neurons of a layer.")
    pick: Literal["largest", "first"] = Field(
        default="largest",
        description="Which of more outliers than `limit`: those that moved most, or, as the "
        "authors' code does, the first by number.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("optimizer") == "sgd":
            return _PUBLISHED | data
        return data

    @model_validator(mode="after")
    def _agree(self) -> UlrlConfig:
        if self.optimizer == "sgd" and self.warmup:
            raise ValueError("'warmup' means nothing to optimizer 'sgd'")
        return self
