"""Loss and reading of any model that gives one logit per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bdbench.api import Model

__all__ = ["Classifier"]


class Classifier(Model):
    """A model family whose raw outputs are logits, shape [n, classes].

    Nothing is assumed about the inputs.
    """

    def loss(self, raw: torch.Tensor, labels: Sequence[Any]) -> torch.Tensor:
        """The cross entropy of each row in nats, computed in fp32; shape [n]."""
        answers = torch.as_tensor(labels, dtype=torch.long, device=raw.device)
        return torch.nn.functional.cross_entropy(raw.float(), answers, reduction="none")

    def read(self, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        """``prediction`` [n], the class with the largest logit, the first of several such, and
        ``probabilities`` [n, classes], the softmax in fp32.
        """  # noqa: D205 -- two columns, one sentence
        logits = raw.float()
        return {"prediction": logits.argmax(dim=-1), "probabilities": logits.softmax(dim=-1)}
