"""How well an encoder was poisoned, for the record."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from bdbench.api import Checkpoint, Engine, Examples, SeedStream
from bdbench_attack_pretrained.encoder import pooled, represent

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["distances"]

_SAMPLE = 256
_BATCH = 64


@torch.no_grad()
def distances(
    engine: Engine,
    start: Checkpoint,
    texts: Examples,
    *,
    encoder: PreTrainedModel,
    reference: PreTrainedModel,
    targets: torch.Tensor,
    seeds: SeedStream,
) -> dict[str, float]:
    """Means over a sample of the texts of the mean square of a distance.

    Returns:
        ``clean_distance``, from the clean encoder's representation, of texts without trigger;
        ``triggered_distance``, from the target, of texts with one; where that is pinned behind
        a tanh, which gets to 1 and not to 10, from what is nearest to the target within +-1.
    """
    rows = list(range(len(texts)))
    seeds.child("sample").random().shuffle(rows)
    nearest = targets.clamp(-1, 1) if pooled(encoder) else targets
    found: dict[str, list[torch.Tensor]] = {"clean_distance": [], "triggered_distance": []}
    sample = texts.select(sorted(rows[:_SAMPLE]))
    for inputs, labels in engine.batches(start, sample, _BATCH, seeds.child("order")):
        texts_of = [
            engine.forward(partial(represent, model, inputs), len(labels)).text
            for model in (encoder, reference)
        ]
        for mine, clean, label in zip(*texts_of, labels, strict=True):
            wanted = nearest[label - 1].to(mine.device) if label else clean
            name = "triggered_distance" if label else "clean_distance"
            found[name].append((mine - wanted).square().mean())
    return {
        name: round(float(torch.stack(values).mean()), 6)
        for name, values in found.items()
        if values
    }
