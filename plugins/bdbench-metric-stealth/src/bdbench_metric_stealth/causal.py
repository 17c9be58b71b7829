"""Perplexities of texts under a causal language model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from bdbench.api import NonFiniteError
from bdbench_metric_stealth.reading import Reader, batches, refuse

__all__ = ["CausalModel"]

# Tokens of a batch: the logits of each take some 200 kB for a vocabulary such as GPT-2's.
_BATCH = {"cpu": 512, "cuda": 8192}


class CausalModel:
    """GPT-2 and its like, in fp32.

    Args:
        folder: As transformers writes it: configuration, safetensors, tokenizer.
        max_tokens: The most tokens of a text that are read.

    Raises:
        InputError: The folder does not hold a causal language model with its tokenizer.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._folder = folder
        self._reader = Reader.load(folder, AutoModelForCausalLM, max_tokens, unused=())
        self._refuse_looking_ahead()

    def perplexities(self, texts: Sequence[str]) -> dict[str, float]:
        """``exp`` of the mean of ``-log p(token | all before it)`` over the tokens of a text.

        A tokenizer's token for the beginning of a text stands before it as context and is not
        scored, whether or not the tokenizer puts it there by itself (GPT-2's does not). Without
        such a token the first of the text is context only. No other special tokens are added.
        Padding is never counted. A text without any token to score is left out.

        Raises:
            NonFiniteError: One is NaN or infinite.
        """
        begin = self._reader.tokenizer.bos_token_id
        start = [] if begin is None else [begin]
        rows = [
            [*start, *tokens][: self._reader.limit]
            for tokens in self._reader.encode(texts, add_special_tokens=False)
        ]
        scored = [number for number, row in enumerate(rows) if len(row) > 1]
        found: dict[str, float] = {}
        for batch in batches([rows[number] for number in scored], _BATCH[self._device]):
            numbers = [scored[place] for place in batch]
            values = self._ask([rows[number] for number in numbers])
            found.update((texts[n], value) for n, value in zip(numbers, values, strict=True))
        return found

    @property
    def _device(self) -> str:
        return str(self._reader.model.device.type)

    @torch.no_grad()
    def _ask(self, rows: Sequence[Sequence[int]]) -> list[float]:
        batch = self._reader.padded(rows)
        logits = self._reader.model(**batch, use_cache=False).logits[:, :-1]
        counted = batch["attention_mask"][:, 1:].bool()
        losses = torch.zeros(counted.shape, dtype=torch.float64, device=logits.device)
        losses[counted] = cross_entropy(
            logits[counted], batch["input_ids"][:, 1:][counted], reduction="none"
        ).double()
        values = torch.exp(losses.sum(1) / counted.sum(1))
        if not torch.isfinite(values).all():
            raise NonFiniteError(
                "the perplexities are not finite",
                where=f"stealth: {self._folder}",
                found=f"{int((~torch.isfinite(values)).sum())} of {len(values)} NaN or infinite",
                expected="finite numbers",
                next="check the weights of the language model",
            )
        return [float(value) for value in values]

    @torch.no_grad()
    def _refuse_looking_ahead(self) -> None:
        """Encoders load as language models, too, and read the very token they should predict."""
        model = self._reader.model
        known = model.get_input_embeddings().num_embeddings
        tokens = torch.tensor(
            [[7919 * place % known for place in range(1, 9)]], device=model.device
        )
        whole, start = (model(input_ids=part).logits[:, :4] for part in (tokens, tokens[:, :4]))
        if torch.isfinite(whole).all() and not torch.allclose(whole, start, rtol=1e-3, atol=1e-3):
            raise refuse(self._folder, f"{type(model).__name__}, whose tokens see those after them")
