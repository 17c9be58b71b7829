"""Models and tokenizers from folders, and batches of token numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from bdbench.api import InputError
from bdbench.toolkit.transformers_folder import LOCAL, quietly, reading, require_model

__all__ = ["Reader", "batches", "refuse"]

_UNKNOWN = 1_000_000  # a tokenizer that names a longer text than this does not know its model's


@dataclass(frozen=True, slots=True)
class Reader:
    """A model in fp32 on the device where it runs, with its tokenizer.

    Attributes:
        model: In evaluation mode.
        tokenizer: The one from the same folder.
        limit: The most tokens of a text that the model is given, special ones included.
    """

    model: Any
    tokenizer: Any
    limit: int

    @classmethod
    def load(
        cls, folder: Path, architecture: Any, max_tokens: int, *, unused: tuple[str, ...]
    ) -> Reader:
        """Reads safetensors and data files only; no code that comes with a model is run.

        Args:
            folder: As transformers writes it.
            architecture: The class of transformers that finds the model's own.
            max_tokens: The most tokens that `limit` may be.
            unused: Tensors whose names begin with one of these may be missing.

        Raises:
            InputError: The folder does not hold such a model, its weights and its tokenizer.
        """
        require_model(folder)
        with reading(folder):
            tokenizer = AutoTokenizer.from_pretrained(str(folder), **LOCAL)
            model, report = architecture.from_pretrained(
                str(folder),
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **LOCAL,
            )
        missing = sorted(name for name in report["missing_keys"] if not name.startswith(unused))
        known = model.get_input_embeddings().num_embeddings
        if missing:
            raise refuse(folder, f"no weights for {missing[0]}")
        if len(tokenizer) > known:
            raise refuse(folder, f"a tokenizer of {len(tokenizer)} tokens, a model of {known}")
        model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model, tokenizer, min(max_tokens, _positions(model, tokenizer)))

    def encode(self, texts: Sequence[str], **how: Any) -> list[list[int]]:
        """Token numbers of each text."""
        if not texts:
            return []  # which tokenizers do not take
        with quietly():
            encoded = self.tokenizer(
                list(texts), padding=False, return_attention_mask=False, verbose=False, **how
            )
        rows: list[list[int]] = encoded["input_ids"]
        return rows

    def padded(self, rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """``input_ids`` and ``attention_mask``, shape [n, longest row], padded at the end."""
        width = max(map(len, rows))
        pad = self.tokenizer.pad_token_id or 0
        ids = [[*row, *[pad] * (width - len(row))] for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        device = self.model.device
        return {
            "input_ids": torch.tensor(ids, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }


def batches(rows: Sequence[Sequence[int]], tokens: int) -> Iterator[list[int]]:
    """The numbers of rows of similar length together, each batch of about so many tokens."""
    batch: list[int] = []
    for number in sorted(range(len(rows)), key=lambda number: len(rows[number])):
        if batch and (len(batch) + 1) * len(rows[number]) > tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def refuse(folder: Path, found: str) -> InputError:
    """The error for a folder that holds something else."""
    return InputError(
        "the folder does not hold a model that the metric can use",
        where=f"stealth: {folder}",
        found=found,
        expected="for `language_model` one that predicts each token from those before it, such as "
        "GPT-2; for `encoder` one that gives a vector for each token, such as BERT",
        next="name the folder of one, saved with its tokenizer",
    )


def _positions(model: Any, tokenizer: Any) -> int:
    """The most tokens that the model has positions for, as far as its files say."""
    known: int = tokenizer.model_max_length
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is None:
        return known
    if known > _UNKNOWN and tokenizer.cls_token_id is not None:
        # RoBERTa and its kin begin to count positions after the padding token's number.
        positions -= (tokenizer.pad_token_id or 0) + 1
    return min(known, int(positions))
