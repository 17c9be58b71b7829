"""Sentence embeddings: the mean of an encoder's token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModel

from bdbench.api import NonFiniteError
from bdbench_metric_stealth.pairs import Pair
from bdbench_metric_stealth.reading import Reader, batches, refuse

__all__ = ["Encoder"]

# Tokens of a batch.
_BATCH = {"cpu": 2048, "cuda": 32768}


class Encoder:
    """MiniLM and its like, in fp32.

    Args:
        folder: As transformers writes it: configuration, safetensors, tokenizer.
        max_tokens: The most tokens of a text that are read, special ones included.

    Raises:
        InputError: The folder does not hold an encoder with its tokenizer.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._folder = folder
        # A layer on top of the token vectors is not looked at; many folders have none.
        self._reader = Reader.load(folder, AutoModel, max_tokens, unused=("pooler.",))
        if self._reader.model.config.is_encoder_decoder:
            raise refuse(folder, f"{type(self._reader.model).__name__}, of two parts")

    def similarities(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """The cosine between the embeddings of two texts, in [-1, 1].

        An embedding is the mean of the last layer's vectors over all tokens of the text,
        special ones included (Reimers and Gurevych 2019), padding never counted. A pair with
        a text of no tokens is left out.

        Raises:
            NonFiniteError: An embedding is NaN or infinite.
        """
        known = self._embed(sorted({text for pair in pairs for text in pair}))
        return {
            (one, other): float((known[one] @ known[other]).clamp(-1, 1))
            for one, other in pairs
            if one in known and other in known
        }

    @torch.no_grad()
    def _embed(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Embeddings of length 1 and shape [dimensions], in fp64."""
        model, limit = self._reader.model, self._reader.limit
        rows = self._reader.encode(texts, truncation=True, max_length=limit)
        some = [number for number, row in enumerate(rows) if row]
        found: dict[str, torch.Tensor] = {}
        for places in batches([rows[number] for number in some], _BATCH[model.device.type]):
            numbers = [some[place] for place in places]
            batch = self._reader.padded([rows[number] for number in numbers])
            vectors = model(**batch).last_hidden_state.double()
            real = batch["attention_mask"][:, :, None].double()
            means = torch.nn.functional.normalize((vectors * real).sum(1) / real.sum(1))
            if not torch.isfinite(means).all():
                raise NonFiniteError(
                    "the sentence embeddings are not finite",
                    where=f"stealth: {self._folder}",
                    found=f"{int((~torch.isfinite(means)).any(1).sum())} of {len(means)} with NaN "
                    "or infinite values",
                    expected="finite numbers",
                    next="check the weights of the encoder",
                )
            found.update(zip((texts[number] for number in numbers), means.cpu(), strict=True))
        return found
