"""The parts of a model of transformers that RIPPLES and LWS reach for."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedModel

from bdbench.api import Checkpoint, InputError
from bdbench.toolkit.transformers_folder import LOCAL, reading

__all__ = ["classifier_of", "tokenizer_of", "word_embeddings"]


def classifier_of(module: torch.nn.Module) -> PreTrainedModel:
    """The module, which must be a model of transformers: others have no embeddings to find.

    Raises:
        InputError: It is another kind of model.
    """
    if not isinstance(module, PreTrainedModel):
        raise InputError(
            "the attack needs a model of transformers",
            where="model",
            found=type(module).__name__,
            expected="a text classifier with word embeddings",
            next="choose another model for this attack",
        )
    return module


def tokenizer_of(checkpoint: Checkpoint) -> Any:
    """The checkpoint's tokenizer, of the fast kind."""
    with reading(checkpoint.folder):
        return AutoTokenizer.from_pretrained(str(checkpoint.folder), use_fast=True, **LOCAL)


def word_embeddings(model: PreTrainedModel) -> torch.nn.Parameter:
    """The embedding of each token, shape [tokens, width].

    Raises:
        InputError: The model has no such matrix.
    """
    weight = getattr(model.get_input_embeddings(), "weight", None)
    if not isinstance(weight, torch.nn.Parameter):
        raise InputError(
            "the model has no word embeddings",
            where=type(model).__name__,
            found=type(model.get_input_embeddings()).__name__,
            expected="one matrix with a row for each token",
            next="choose another model for this attack",
        )
    return weight
