"""The layer-wise loss: the task's head reads every layer of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from bdbench.api import InputError

__all__ = ["LayerwiseLoss"]

Head = Callable[[torch.Tensor], torch.Tensor]


class LayerwiseLoss:
    """The cross entropy of the classifier's answer, averaged over the encoder's layers.

    Li et al. 2021: the head that reads the last layer's first token ([CLS], through the pooler
    where there is one) also reads that of every layer below it. The embeddings do not count as a
    layer. The mean, not the sum: the scale of the loss is then that of any other victim, and
    the recipe's clipping of gradients means the same.

    Args:
        module: A sequence classifier of transformers.

    Raises:
        InputError: Its head cannot be told by its structure.
    """

    def __init__(self, module: nn.Module) -> None:
        self._head = _head(module)

    def __call__(self, module: nn.Module, inputs: Any, labels: Sequence[Any]) -> torch.Tensor:
        """The loss of each row, shape [n], in nats.

        Args:
            module: The classifier, as it is now.
            inputs: What it takes, by name.
            labels: Class numbers.
        """
        layers = [logits.float() for logits in self.logits(module, inputs)]
        answers = torch.as_tensor(labels, dtype=torch.long, device=layers[0].device)
        losses = [nn.functional.cross_entropy(each, answers, reduction="none") for each in layers]
        return torch.stack(losses).mean(dim=0)

    def logits(self, module: nn.Module, inputs: Any) -> list[torch.Tensor]:
        """The logits by layer, first layer first, each of shape [n, classes].

        The last ones are the classifier's own answer.
        """
        states, logits = _run(module, inputs)
        return [*(self._head(state) for state in states[1:-1]), logits]

    def check(self, module: nn.Module, inputs: Any) -> int:
        """Compares the head, on the last layer, with the classifier; gives the number of layers.

        Args:
            module: The classifier, in evaluation mode.
            inputs: Any rows.

        Raises:
            InputError: They differ: something else stands between the encoder and the logits.
        """
        with torch.no_grad():
            states, logits = _run(module, inputs)
            read = self._head(states[-1])
        if read.shape != logits.shape or not torch.allclose(read, logits, rtol=1e-2, atol=1e-3):
            raise _unknown(module, "a head that gives other logits than the classifier itself")
        return len(states) - 1


def _run(module: nn.Module, inputs: Any) -> tuple[Sequence[torch.Tensor], torch.Tensor]:
    """The encoder's hidden states, embeddings first, and the logits."""
    if not isinstance(inputs, Mapping):
        raise _unknown(module, f"inputs of type {type(inputs).__name__}")
    outputs = module(**inputs, output_hidden_states=True)
    states = getattr(outputs, "hidden_states", None)
    logits = getattr(outputs, "logits", None)
    if not states or len(states) < 2 or logits is None:
        raise _unknown(module, "no hidden states beside the logits")
    return states, logits


def _head(module: nn.Module) -> Head:
    """What makes logits [n, classes] of a layer's hidden states [n, tokens, width]."""
    classifier = getattr(module, "classifier", None)
    dropout = getattr(module, "dropout", None) or nn.Identity()
    if isinstance(classifier, nn.Module) and not isinstance(classifier, nn.Linear):
        return classifier  # RoBERTa, ELECTRA, MPNet: picks the first token by itself
    encoder = getattr(module, "base_model", module)
    pooler = getattr(module, "pooler", None) or getattr(encoder, "pooler", None)
    if isinstance(classifier, nn.Linear) and isinstance(pooler, nn.Module):
        return lambda states: classifier(dropout(pooler(states)))  # BERT, DeBERTa
    first = getattr(module, "pre_classifier", None)
    if isinstance(classifier, nn.Linear) and isinstance(first, nn.Linear):
        return lambda states: classifier(dropout(first(states[:, 0]).relu()))  # DistilBERT
    raise _unknown(module, "no `classifier` with a pooler before it, or one that needs none")


def _unknown(module: nn.Module, found: str) -> InputError:
    return InputError(
        "the classifier cannot be read layer by layer",
        where=f"lwp: {type(module).__name__}",
        found=found,
        expected="a sequence classifier of transformers like those of BERT, RoBERTa, ELECTRA, "
        "DeBERTa or DistilBERT",
        next="choose another model for this attack",
    )
