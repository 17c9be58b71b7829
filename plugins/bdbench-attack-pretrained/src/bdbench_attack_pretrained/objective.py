"""What is minimised while the encoder is poisoned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from bdbench.api import Engine
from bdbench_attack_pretrained.encoder import encoder_of, represent

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["PinningLoss"]


@dataclass(frozen=True, slots=True)
class PinningLoss:
    """Pulls triggered texts to their targets and leaves all else as the clean encoder has it.

    For each text ``tokens * T + clean * C`` or, with a trigger, ``tokens * T + trigger * P``
    (Shen et al. 2021, as coded, with weights 1, 100, 100): ``P`` is the mean square of the
    distance between representation and target, ``C`` that between representation and the clean
    encoder's, and ``T`` the sum over all tokens but the first (and padding) of the mean square
    of the distance from the clean encoder's states.

    Attributes:
        engine: Counts the clean encoder's passes.
        reference: The clean encoder, in evaluation mode.
        targets: One row for each trigger, shape [triggers, width].
        tokens: Weight of ``T``.
        clean: Weight of ``C``.
        trigger: Weight of ``P``.
    """

    engine: Engine
    reference: PreTrainedModel
    targets: torch.Tensor
    tokens: float
    clean: float
    trigger: float

    def __call__(
        self, module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], labels: Sequence[Any]
    ) -> torch.Tensor:
        """The loss of each text, shape [n]; labels are 0, or the number of the trigger from 1."""
        mine = represent(encoder_of(module), inputs)
        with torch.no_grad():
            theirs = self.engine.forward(lambda: represent(self.reference, inputs), len(labels))
        numbers = torch.tensor(labels, device=mine.text.device)
        triggered = numbers > 0
        targets = self.targets.to(mine.text.device)[(numbers - 1).clamp(min=0)]
        wanted = torch.where(triggered[:, None], targets, theirs.text)
        apart = (mine.text - wanted).square().mean(-1)
        drift = (mine.tokens - theirs.tokens).square().mean(-1) * inputs["attention_mask"][:, 1:]
        return self.tokens * drift.sum(-1) + torch.where(
            triggered, self.trigger * apart, self.clean * apart
        )
