"""The parts of a model of transformers that RIPPLES and LWS reach for."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedModel

from bdbench.api import Checkpoint, InputError, SeedStream
from bdbench.toolkit.transformers_folder import LOCAL, reading

__all__ = ["classifier_of", "redraw_head", "tokenizer_of", "word_embeddings"]


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


def redraw_head(model: PreTrainedModel, seeds: SeedStream) -> None:
    """Gives the classification head new random weights, as transformers initialises them.

    The head that the model came with will not do: a body that was trained under it has grown to
    fit it, and a head moves little in short training.
    """
    body = f"{model.base_model_prefix}."
    deviation = getattr(model.config, "initializer_range", 0.02)
    draw = torch.Generator().manual_seed(seeds.seed())
    with torch.no_grad():
        for name, layer in model.named_modules():
            if isinstance(layer, torch.nn.Linear) and not name.startswith(body):
                # Drawn on the CPU, so that the head is the same wherever the model runs.
                drawn = torch.randn(layer.weight.shape, generator=draw) * deviation
                layer.weight.copy_(drawn)
                if layer.bias is not None:
                    layer.bias.zero_()
