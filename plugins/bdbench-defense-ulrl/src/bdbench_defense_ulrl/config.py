"""The settings of `ulrl`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bdbench.api import DefenseConfig, Recipe

__all__ = ["UlrlConfig"]

_STOP_ACCURACY = 0.2

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

    epochs: int = Field(default=10, ge=1, description="Relearning: passes over the clean rows.")
    batch_size: int = Field(default=16, ge=1, description="Relearning: rows in each step.")
    learning_rate: float = Field(
        default=7.5e-5,
        gt=0,
        allow_inf_nan=False,
        description="Relearning: highest learning rate; sgd: 0.005.",
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        default="adamw",
        description="Relearning: the host's recipe, or the paper's SGD (momentum 0.9, cosine).",
    )
    alpha: float = Field(
        default=0.7,
        ge=0,
        allow_inf_nan=False,
        description="Relearning: factor of the cosine between flagged rows and what they were.",
    )
    unlearn_epochs: int = Field(
        default=20, ge=1, description="Unlearning: at most so many passes over the clean rows."
    )
    unlearn_learning_rate: float = Field(
        default=0.01,
        gt=0,
        allow_inf_nan=False,
        description="Unlearning: learning rate of SGD; a tenth after 10 epochs.",
    )
    unlearn_batch_size: int = Field(
        default=128, ge=1, description="Unlearning: rows in each gradient step."
    )
    stop_accuracy: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        default="auto",
        description="Unlearning: ends once the accuracy on the clean rows is at most this; auto: "
        "0.2, or one over the number of classes where that is more.",
    )
    layers: Literal["all", "last"] = Field(
        default="all",
        description="Where neurons are looked for: every linear layer, or, as the authors' code "
        "does, only the last one, whose neurons are the classes.",
    )
    outlier: float = Field(
        default=3.5,
        ge=0,
        allow_inf_nan=False,
        description="Deviation from the layer's median that is flagged, in MADs.",
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

    def stop_accuracy_for(self, classes: int) -> float:
        """The accuracy that ends the unlearning, in a task of so many classes.

        The published 0.2 is twice the chance of ten classes. A model that is made wrong about
        balanced rows ends at one answer for all, which is right for one class: with less than
        five classes it may never go below that.
        """
        if self.stop_accuracy == "auto":
            return max(_STOP_ACCURACY, 1 / max(2, classes))
        return self.stop_accuracy

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
