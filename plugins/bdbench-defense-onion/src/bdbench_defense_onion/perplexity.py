"""Perplexities of many sequences of tokens under a causal language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from bdbench.api import NonFiniteError
from bdbench_defense_onion.packing import Row, Tokens, alone, batches, pack

__all__ = ["Perplexities"]

# Tokens of a row with many sequences: enough that a CPU multiplies at full speed, few enough
# that attention, which grows with the square, costs little.
_ROW = 256
# Tokens of a batch. More helps only a device that does many things at once.
_BATCH = {"cpu": 256, "cuda": 8192}
# Positions whose softmax is summed at a time, so that what it takes stays in the cache.
_POSITIONS = 16


class Perplexities:
    """Asks a model for perplexities.

    Of the tokens t_1 ... t_n, the
    ``PPL = exp(-(log p(t_2 | t_1) + ... + log p(t_n | t_1 ... t_n-1)) / (n - 1))``: the first
    token is not scored, as in the authors' code. GPT-2 begins texts with no special token.

    Args:
        model: In fp32, in evaluation mode.
        bf16: Whether to run everything in bf16 but sums, output layer and softmax.
        packs: Whether the model can be told what each token sees; then sequences with common
            beginnings share the work for these.
        where: What messages call the model.
    """

    def __init__(self, model: Any, *, bf16: bool, packs: bool, where: str) -> None:
        self._model = model
        self._device: torch.device = model.device
        self._bf16 = bf16
        self._packs = packs
        self._where = where

    def of(self, texts: Sequence[Sequence[Tokens]]) -> list[list[float | None]]:
        """The perplexity of each sequence; None for one of fewer than two tokens.

        A sequence's perplexity does not depend on the other texts, but for rounding.

        Args:
            texts: For each text its sequences, of which the first is the whole text.

        Raises:
            NonFiniteError: One is NaN or infinite.
        """
        rows = [row for owner, items in enumerate(texts) for row in self._rows(owner, items)]
        known: list[dict[Tokens, float]] = [{} for _ in texts]
        with torch.no_grad(), self._autocast():
            for batch in batches(rows, _BATCH[self._device.type]):
                reads = [(row.owner, read.sequence) for row in batch for read in row.reads]
                for (owner, sequence), value in zip(reads, self._read(batch), strict=True):
                    known[owner][sequence] = value
        return [
            [values.get(item) for item in items] for items, values in zip(texts, known, strict=True)
        ]

    def _rows(self, owner: int, items: Sequence[Tokens]) -> list[Row]:
        distinct = [item for item in dict.fromkeys(items) if len(item) > 1]
        if self._packs:
            return pack(owner, items[0], distinct, max(_ROW, 2 * len(items[0])))
        return alone(owner, distinct)

    def _read(self, batch: Sequence[Row]) -> list[float]:
        """The perplexity of each sequence of a batch, in order."""
        logits = self._logits(batch)
        width = logits.shape[1]
        flat = logits.flatten(0, 1)
        norms = torch.cat([piece.logsumexp(-1) for piece in torch.split(flat, _POSITIONS)])
        reads = [(place * width, read) for place, row in enumerate(batch) for read in row.reads]
        places = self._tensor([start + place for start, read in reads for place in read.places])
        targets = self._tensor([token for _, read in reads for token in read.sequence[1:]])
        losses = (norms[places] - flat[places, targets]).double().cpu().numpy()
        counts = np.array([len(read.places) for _, read in reads])
        with np.errstate(over="ignore"):
            values = np.exp(np.add.reduceat(losses, np.cumsum(counts) - counts) / counts)
        if not np.isfinite(values).all():
            raise NonFiniteError(
                "the perplexities are not finite",
                where=self._where,
                found=f"{int((~np.isfinite(values)).sum())} of {len(values)} NaN or infinite",
                expected="finite numbers",
                next="check the weights of the language model, or set precision: fp32",
            )
        return [float(value) for value in values]

    def _logits(self, batch: Sequence[Row]) -> torch.Tensor:
        """Shape [rows, tokens of the longest row, vocabulary], in fp32."""
        shape = (len(batch), max(map(len, batch)))
        tokens, positions = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        # What pads a row sees itself: softmax needs something.
        sees = np.eye(shape[1], dtype=bool)[None, None].repeat(len(batch), axis=0)
        for place, row in enumerate(batch):
            tokens[place, : len(row)] = row.tokens
            positions[place, : len(row)] = row.positions
            sees[place, 0, : len(row), : len(row)] = row.sees
        inputs = {"input_ids": self._tensor(tokens)}
        if self._packs:
            hidden = np.where(sees, np.float32(0), np.finfo(np.float32).min)
            inputs |= {
                "position_ids": self._tensor(positions),
                "attention_mask": self._tensor(hidden),
            }
        # Without a mask padding changes nothing either: it stands after everything.
        logits: torch.Tensor = self._model(**inputs, use_cache=False).logits
        return logits.float()

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.as_tensor(values, device=self._device)

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        """Around many batches at once: weights are cast once in each such block."""
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bf16):
            yield
